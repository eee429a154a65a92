"""Talking to Redis: where it is, and the one connection that all stores of a process share."""
