"""Several processes that serve on the same sockets: who starts them, and what each is given."""
