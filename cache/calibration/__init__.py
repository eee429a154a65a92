"""From an error budget to a threshold: a table measured beforehand, and what is learned while serving."""
