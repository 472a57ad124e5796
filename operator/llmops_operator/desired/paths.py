"""Where things are mounted in a serving pod."""

from __future__ import annotations

CONTRACT_DIRECTORY = "/etc/llmops"
CONTRACT_KEY = "contract.json"
CONTRACT_FILE = f"{CONTRACT_DIRECTORY}/{CONTRACT_KEY}"

SOCKET_DIRECTORY = "/run/llmops"
SOCKET_FILE = f"{SOCKET_DIRECTORY}/cache.sock"

CREDENTIALS_DIRECTORY = "/etc/llmops-credentials"
CREDENTIALS_KEY = "key"
CREDENTIALS_FILE = f"{CREDENTIALS_DIRECTORY}/{CREDENTIALS_KEY}"
"""The hub's token while the model is fetched, or the provider's API key."""

FALLBACK_DIRECTORY = "/etc/llmops-fallback"
FALLBACK_FILE = f"{FALLBACK_DIRECTORY}/{CREDENTIALS_KEY}"
"""The API key of the provider that is the fallback."""

SHARED_CACHE_DIRECTORY = "/etc/llmops-shared-cache"
"""The password of the store that pods share answers through, and who vouches for it."""

API_KEYS_DIRECTORY = "/etc/llmops-api-keys"
TLS_DIRECTORY = "/etc/llmops-tls"
CLIENT_CA_DIRECTORY = "/etc/llmops-client-ca"
ISSUER_CA_DIRECTORY = "/etc/llmops-issuer-ca"
CA_KEY = "ca.crt"

HASH_KEY_DIRECTORY = "/etc/llmops-hash-key"
HASH_KEY = "key"
HASH_KEY_FILE = f"{HASH_KEY_DIRECTORY}/{HASH_KEY}"
"""What the guard hashes personal data with, where its policy does."""

WEBHOOKS_DIRECTORY = "/etc/llmops-webhooks"
"""What the guard shows and trusts when it asks the services of its policy."""
GUARD_MODELS_DIRECTORY = "/guard-models"
"""Below it, a directory for each classifier that the guard's policy brings along."""

MODEL_DIRECTORY = "/model"
TOKENIZER_FILE = f"{MODEL_DIRECTORY}/tokenizer.json"
"""Where the models of Hugging Face have it; the guard counts tokens by it."""

TEMPORARY_DIRECTORY = "/tmp"  # noqa: S108 - a mounted emptyDir of the container, not this machine's
SHARED_MEMORY_DIRECTORY = "/dev/shm"  # noqa: S108 - the same

OWNER_AND_GROUP = 0o440
"""Mode of a secret's file: the pod's fsGroup reads it, nobody writes it."""
