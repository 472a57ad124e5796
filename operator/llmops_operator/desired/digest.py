"""Digests of values: the same for equal values on every machine and in every version of Python."""

from __future__ import annotations

import hashlib
import json
from typing import Any

LENGTH = 16
"""Hexadecimal digits: 64 bits, far more than one object's history needs."""


def digest(value: Any) -> str:
    """The first digits of the SHA-256 over the value's JSON, keys sorted."""
    document = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(document.encode()).hexdigest()[:LENGTH]
