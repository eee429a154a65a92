"""The `tierway` command."""
