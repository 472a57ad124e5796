"""Tokens, counted by the model's own tokenizer, in threads of their own: a megabyte of text takes a second."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # or it starts a thread for each core of the node

THREADS = 2
EXPANSION = 11
"""Bytes that one byte of UTF-8 can become by normalisation (Unicode's FAQ on it, under "expansion")."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="tokens")
_log = logging.getLogger(__name__)


class Counter:
    """The tokenizer of a file in Hugging Face's format."""

    def __init__(self, path: str) -> None:
        """Load it already, if it is there: that stops everything for half a second. It is tried again when needed."""
        self._path = Path(path)
        try:
            self._tokenizer()
        except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
            _log.warning("the tokenizer cannot be used yet", extra={"file": path, "error": type(error).__name__})

    async def surpass(self, texts: Sequence[str], limit: int) -> bool:
        """Whether texts are more tokens together than a limit; raises what loading raises.

        What cannot be, by the number of bytes, is not counted: no token is smaller than a byte.
        """
        if sum(map(_at_most, texts)) <= limit:
            return False
        return await asyncio.get_running_loop().run_in_executor(_threads, self._counted_beyond, texts, limit)

    def _counted_beyond(self, texts: Sequence[str], limit: int) -> bool:
        tokenizer, counted = self._tokenizer(), 0
        for text in texts:
            # `encode` would keep the interpreter from running anything else
            counted += len(tokenizer.encode_batch_fast([text], add_special_tokens=False)[0])
            if counted > limit:
                return True
        return False

    def _tokenizer(self) -> Tokenizer:
        found = self._path.stat()
        return _load(self._path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=2)
def _load(path: Path, _changed: int, _size: int) -> Tokenizer:
    return Tokenizer.from_file(str(path))


def _at_most(text: str) -> int:
    """Tokens of a text at most: one of each byte, and one that some tokenizers put before all."""
    return 1 + (len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")) * EXPANSION)
