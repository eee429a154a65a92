"""Between chat and Anthropic's Messages, both ways."""
