"""The model's own code is imported from where Triton finds it: its version directory."""

from __future__ import annotations

import sys

from tests.support.triton import triton
from tests.support.triton_files import MODEL_YAML

sys.path.insert(0, str(MODEL_YAML.parent))

__all__ = ["triton"]
