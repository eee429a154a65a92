"""HTTP in and out: routes, framing, errors as bodies."""
