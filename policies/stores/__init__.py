"""Where policies keep what must outlive a request."""
