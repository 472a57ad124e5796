"""The engine behind the cache: drivers for Triton and for OpenAI-compatible providers, and the application."""
