"""Word lists the guard reads with, written for this project: plain tuples, folded to look-ups at import."""
