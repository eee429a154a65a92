"""What the gateway keeps of Responses between calls."""
