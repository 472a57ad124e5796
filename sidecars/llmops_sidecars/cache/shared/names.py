"""How keys are called in the store: a prefix that the store's rights go by, and a hash that only pods can make."""

from __future__ import annotations

import hashlib
import hmac


def entry_name(prefix: str, key: str, secret: bytes) -> bytes:
    """The name of a key's entry."""
    return f"{prefix}entry:{hmac.digest(secret, key.encode(), hashlib.sha256).hex()}".encode()


def purges_name(prefix: str) -> bytes:
    """The name of the hash with all purges."""
    return f"{prefix}purges".encode()
