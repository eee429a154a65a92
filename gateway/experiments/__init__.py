"""Models compared on live traffic: splits of an alias, shadow calls with a blind judge, and what callers say."""
