"""Everything that outlives a request, opened by the one address that settings give: beside a file, or on Redis."""
