"""Finds keys, tokens and passwords."""
