"""Equal requests that are answered by one call: those made at the same time, and those made again by the same key."""
