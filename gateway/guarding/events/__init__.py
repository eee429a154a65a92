"""Guards the events of streamed answers, one shape a file."""
