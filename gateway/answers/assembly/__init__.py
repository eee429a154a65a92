"""From the events of a stream to the whole answer, one shape a file."""
