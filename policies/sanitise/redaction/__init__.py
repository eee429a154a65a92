"""Replaces findings by placeholders, and placeholders by what stood there."""
