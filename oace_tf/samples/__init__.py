"""Images with object masks, read from disk and checked; nothing is exported from here."""
