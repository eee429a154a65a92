"""From a whole answer to the events of its stream, one shape a file."""
