"""Finds what identifies a person and has a form that can be checked."""
