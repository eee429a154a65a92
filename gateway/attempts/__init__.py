"""Stage 7: an answer whatever breaks, from the first candidate that can give one."""
