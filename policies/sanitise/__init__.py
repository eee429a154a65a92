"""Checks of what a request says, before anything is spent on it."""
