"""Finds characters that hide or disguise what a text says."""
