"""Who may ask, and how much: API keys, access tokens, client certificates, limits by tenant."""
