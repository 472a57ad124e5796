"""A file on its way: it has another name until it is whole and checked, and a later attempt goes on with it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from llmops_sidecars.fetch.errors import FetchError, UselessError

SHA256 = re.compile(r"[0-9a-f]{64}")
GIT_OBJECT = re.compile(r"[0-9a-f]{40}")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Partial:
    """One file. All methods block, and raise FetchError when the disk does not go along."""

    def __init__(self, final: Path, revision: str) -> None:
        self._final = final
        self._path = final.with_name(f".{final.name}.{revision[:12]}.partial")
        self._sha256 = hashlib.sha256()
        with disk_errors(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b")
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the file. What a full disk does not take now, the next attempt fetches again."""
        with contextlib.suppress(OSError):
            self._file.close()

    def resume(self) -> None:
        """Take account of what an earlier attempt left."""
        with disk_errors(self._final):
            self._file.seek(0)
            self._sha256 = hashlib.sha256()
            hashlib.file_digest(self._file, lambda: self._sha256)
            self.size = self._file.tell()

    def restart(self) -> None:
        """Forget what is there."""
        with disk_errors(self._final):
            self._file.truncate(0)
        self._sha256, self.size = hashlib.sha256(), 0

    def append(self, block: bytes) -> None:
        """Add bytes."""
        with disk_errors(self._final):
            self._file.write(block)
        self._sha256.update(block)
        self.size += len(block)

    def finish(self, size: int | None, digest: str | None) -> None:
        """Check the file and give it its name; raises UselessError when it is not what it should be."""
        if size is not None and self.size != size:
            raise UselessError(f"{self._final.name} has {self.size} bytes, not {size}")
        with disk_errors(self._final):
            self._file.flush()
            if self._digest_like(digest) != digest:
                raise UselessError(f"{self._final.name} does not have the digest that the hub gives for it")
            os.fsync(self._file.fileno())
            self._path.replace(self._final)

    def _digest_like(self, digest: str | None) -> str:
        """The file's digest of the kind that is given: SHA-256, or Git's for small files."""
        if digest is not None and SHA256.fullmatch(digest):
            return self._sha256.hexdigest()
        if digest is None or not GIT_OBJECT.fullmatch(digest):
            raise FetchError(
                f"the hub gives no digest for {self._final.name}, so it cannot be checked; use another hub"
            )
        git = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        self._file.seek(0)
        hashlib.file_digest(self._file, lambda: git)
        return git.hexdigest()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about the disk into FetchError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise FetchError(f"the disk is full at {path}: enlarge the volume") from error
        raise FetchError(f"cannot write {path}: {error.strerror}") from error
