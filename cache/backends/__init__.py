"""Where answers are kept, one kind of store a file."""
