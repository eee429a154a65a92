"""Answers that are given again: one stored form for plain and streamed ones, and back."""
