from __future__ import annotations

from tests.support.triton import triton

__all__ = ["triton"]
