"""The vocabulary every family shares: frozen structs and the error tree."""
