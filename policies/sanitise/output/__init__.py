"""Looks through answers while they arrive, and changes in them what a plan wants changed."""
