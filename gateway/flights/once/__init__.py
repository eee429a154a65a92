"""Where the answers of requests with an idempotency key are kept."""
