"""One way of choosing a tier a file."""
