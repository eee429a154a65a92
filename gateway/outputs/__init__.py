"""Checks complete answers against the JSON that was asked for, and asks once more where they do not fit.

Streams are not checked: their bytes are with the caller before the answer is whole, and cannot be taken back. What is
here is logic without clocks, sockets or settings.
"""
