"""What is read of the answers of each shape: usage, failures, the end of a stream."""
