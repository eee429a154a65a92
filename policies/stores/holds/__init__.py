"""Where capacity is counted and held: one protocol, one store a module."""
