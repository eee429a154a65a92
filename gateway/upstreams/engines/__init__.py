"""The HTTP client libraries behind the transport seam, one a file."""
