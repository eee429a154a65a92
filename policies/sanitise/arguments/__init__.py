"""Judges what a model wants to hand to a tool."""
