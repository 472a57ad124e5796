"""The data plane of llmops-operator: guard, cache and engine drivers, one ASGI application inside another."""
