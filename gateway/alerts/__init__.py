"""What watches rates, latency, costs and budgets, and tells operators when a threshold is passed."""
