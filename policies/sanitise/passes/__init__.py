"""One pass over a text for many patterns at once."""
