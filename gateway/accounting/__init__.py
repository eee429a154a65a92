"""What was used and what it cost, as people ask for it and read it."""
