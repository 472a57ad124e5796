"""The order of things: lock, list, fetch in parallel, mark; and how often what fails is tried again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import aiohttp

from llmops_sidecars.fetch.directory import Directory
from llmops_sidecars.fetch.errors import FetchError, TransientError, UselessError
from llmops_sidecars.fetch.files import RemoteFile
from llmops_sidecars.fetch.hub import LONGEST_PAUSE_SECONDS, Hub
from llmops_sidecars.fetch.partial import Partial
from llmops_sidecars.fetch.progress import Progress

PARALLEL_FILES = 4
BLOCK_BYTES = 1024 * 1024
PROGRESS_SECONDS = 10.0

ATTEMPTS = 8
"""Per file, each going on where the last one stopped; the pauses between them add up to about a minute."""

FIRST_PAUSE_SECONDS = 1.0

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What to fetch, where from and where to. `first_pause` is in seconds, and doubles with each attempt."""

    repository: str
    revision: str
    target: Path
    endpoint: str
    token: str | None = field(default=None, repr=False)
    first_pause: float = FIRST_PAUSE_SECONDS


async def fetch(options: Options) -> None:
    """Make the target complete; raises FetchError."""
    directory = Directory(options.target, options.repository, options.revision)
    async with directory.locked():
        if directory.is_complete():
            _log.info("%s at %s is here already", options.repository, options.revision)
            return
        async with Hub(options.endpoint, options.repository, options.revision, options.token) as hub:
            await _Download(hub, directory, options).run()


class _Download:
    def __init__(self, hub: Hub, directory: Directory, options: Options) -> None:
        self._hub = hub
        self._directory = directory
        self._options = options
        self._slots = asyncio.Semaphore(PARALLEL_FILES)

    async def run(self) -> None:
        files = await self._insist("the list of files", self._hub.files)
        missing = [file for file in files if not self._directory.has(file)]
        size = sum(file.size or 0 for file in missing)
        self._directory.require_space(size)
        progress = Progress(len(missing), size, time.monotonic)
        _log.info("fetching %s at %s: %s", self._options.repository, self._options.revision, progress.line())
        reporter = asyncio.create_task(_report(progress))
        try:
            await self._fetch_all(missing, progress)
        finally:
            reporter.cancel()
        self._directory.complete(files)
        _log.info("complete: %s", progress.line())

    async def _fetch_all(self, files: list[RemoteFile], progress: Progress) -> None:
        """All files; the first one that fails for good ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                for file in files:
                    group.create_task(self._fetch(file, progress))
        except* FetchError as failures:
            raise failures.exceptions[0] from failures

    async def _fetch(self, file: RemoteFile, progress: Progress) -> None:
        async with self._slots:
            with self._directory.partial(file) as partial:
                await asyncio.to_thread(partial.resume)
                await self._insist(file.path, lambda: self._attempt(file, partial, progress))
        progress.finished += 1

    async def _attempt(self, file: RemoteFile, partial: Partial, progress: Progress) -> None:
        try:
            size, digest = file.size, file.digest
            if size is None or digest is None or partial.size != size:
                size, digest = await self._receive(file, partial, progress)
            await asyncio.to_thread(partial.finish, size, digest)
        except UselessError:
            partial.restart()
            raise

    async def _receive(self, file: RemoteFile, partial: Partial, progress: Progress) -> tuple[int | None, str | None]:
        """Get what is missing of a file; gives the size and the digest that it should have."""
        async with self._hub.content(file.path, partial.size) as content:
            size = content.size if file.size is None else file.size
            if content.offset != partial.size:
                partial.restart()
            async for block in content.body.iter_chunked(BLOCK_BYTES):
                await asyncio.to_thread(partial.append, block)
                progress.advance(file.path, partial.size, len(block))
                if size is not None and partial.size > size:
                    raise UselessError(f"the server sends more than the {size} bytes of the file")
            return size, file.digest or content.digest

    async def _insist(self, what: str, work: Callable[[], Awaitable[T]]) -> T:
        """Try until it works, FetchError says that it never will, or ATTEMPTS are used up."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await work()
            except (TransientError, aiohttp.ClientError, TimeoutError) as error:
                pause = _pause(error, self._options.first_pause * 2 ** (attempt - 1))
                _log.warning("%s: %s; attempt %d follows in %.1f s", what, _reason(error), attempt + 1, pause)
            await asyncio.sleep(pause)
        try:
            return await work()
        except (TransientError, aiohttp.ClientError, TimeoutError) as error:
            message = f"{what}: {_reason(error)}; given up after {ATTEMPTS} attempts: check the network to the hub"
            raise FetchError(message) from error


async def _report(progress: Progress) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        _log.info("%s", progress.line())


def _pause(error: Exception, seconds: float) -> float:
    """The pause, up to half of it left to chance, or what the server asked for when that is longer."""
    asked = error.pause if isinstance(error, TransientError) else 0.0
    jittered = seconds * random.uniform(0.5, 1.0)  # noqa: S311 - spreads pods out, hides nothing
    return min(max(jittered, asked), LONGEST_PAUSE_SECONDS)


def _reason(error: Exception) -> str:
    """What happened, without URLs: signed ones are secrets."""
    if isinstance(error, TransientError):
        return str(error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
    return f"the connection failed ({type(error).__name__})"
