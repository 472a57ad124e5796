"""The target directory: one process at a time, files that are whole or not there, and the mark that all are."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from llmops_sidecars.fetch.errors import FetchError
from llmops_sidecars.fetch.files import RemoteFile
from llmops_sidecars.fetch.partial import Partial, disk_errors

MARK = ".llmops-complete.json"
LOCK = ".llmops-fetch.lock"
LOCK_POLL_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Mark(Struct, frozen=True):
    """What a complete directory holds: files with their sizes in bytes."""

    repository: str
    revision: str
    files: dict[str, int]


class Directory:
    """The target, for one repository at one commit."""

    def __init__(self, path: Path, repository: str, revision: str) -> None:
        self._path = path
        self._repository = repository
        self._revision = revision

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold the directory's lock, however long it takes to get it. The kernel frees that of a process that died."""
        with disk_errors(self._path):
            self._path.mkdir(parents=True, exist_ok=True)
            lock = (self._path / LOCK).open("wb")
        with lock:
            if not _try_lock(lock):
                _log.info("another process fetches into %s; waiting for it", self._path)
                while not _try_lock(lock):  # noqa: ASYNC110 - a file's lock has no event
                    await asyncio.sleep(LOCK_POLL_SECONDS)
            yield

    def is_complete(self) -> bool:
        """Whether this commit's mark is there, and so are its files; raises FetchError for another commit's mark."""
        mark = self._mark()
        if mark is None:
            return False
        if (mark.repository, mark.revision) != (self._repository, self._revision):
            raise FetchError(f"{self._path} holds {mark.repository} at {mark.revision}; fetch into another directory")
        return all(self.has(RemoteFile(path, size)) for path, size in mark.files.items())

    def has(self, file: RemoteFile) -> bool:
        """Whether a file is there: it got its name after it had been checked, so its size is enough now."""
        try:
            return self._final(file).stat().st_size == file.size or file.size is None
        except OSError:
            return False

    def partial(self, file: RemoteFile) -> Partial:
        """The file on its way."""
        return Partial(self._final(file), self._revision)

    def require_space(self, size: int) -> None:
        """Raise FetchError unless so many more bytes fit."""
        with disk_errors(self._path):
            free = shutil.disk_usage(self._path).free
        if size > free:
            needs = f"{self._repository} needs {size / 1e9:.1f} GB more"
            raise FetchError(f"{needs}, {self._path} has {free / 1e9:.1f} GB free: enlarge the volume")

    def complete(self, files: tuple[RemoteFile, ...]) -> None:
        """Set the mark, last of all."""
        with disk_errors(self._path):
            sizes = {file.path: self._final(file).stat().st_size for file in files}
            unfinished = self._path / f"{MARK}.partial"
            with unfinished.open("wb") as mark:
                mark.write(msgspec.json.encode(Mark(self._repository, self._revision, sizes)))
                mark.flush()
                os.fsync(mark.fileno())
            unfinished.replace(self._path / MARK)

    def _final(self, file: RemoteFile) -> Path:
        return self._path / file.path

    def _mark(self) -> Mark | None:
        """The mark; None when there is none or it cannot be read, which only means that files are looked at again."""
        try:
            return msgspec.json.decode((self._path / MARK).read_bytes(), type=Mark)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None


def _try_lock(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
