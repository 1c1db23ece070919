"""Runtime: the int8 file read with checks, opened, its inner output, its edges."""
