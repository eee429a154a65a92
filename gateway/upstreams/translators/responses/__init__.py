"""Between chat and Responses, both ways."""
