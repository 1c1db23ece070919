"""The int8 file at work: read with checks, opened, its inner output, its edges."""
