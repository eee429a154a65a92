"""Where it is kept what every request consumed."""
