"""Stage 6: answers that are there already, by equality or by meaning, and what is kept of the others."""
