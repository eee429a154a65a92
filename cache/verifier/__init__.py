"""A lexical guard over would-be hits: what an embedding does not see, read once a text and compared in microseconds."""
