"""Break-glass capture: what one key sends and is answered, for a limited time, sealed in a file and read by a verb."""
