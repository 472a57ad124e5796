"""Files that change under a running process: looked at again and again, replaced in use only by what works.

A mounted ConfigMap or Secret changes by the swap of a symbolic link (`..data`) in its directory. So what the paths lead
to is compared, by number, time and size: no watch that a swap could leave behind.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

POLL_SECONDS = 0.25

T = TypeVar("T")

FileStamp = tuple[str, int, int, int, int]
"""A file's name, where its content lies, and its time and size."""

_log = logging.getLogger(__name__)


class UnusableError(ValueError):
    """The files cannot be used; the message says why to who can mend them, and holds nothing of their content."""


class Watched(ABC, Generic[T]):
    """The last good value of some files; `what` names them in logs.

    Errors of the types in `mendable` are for whoever wrote the files, and are told as they are.
    """

    mendable: tuple[type[Exception], ...] = (UnusableError,)

    def __init__(self, what: str, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._what = what
        self._poll_seconds = poll_seconds
        self._stamp: tuple[FileStamp | None, ...] | None = None
        self.current: T | None = None
        """What is in use; None until the first that works."""
        self.error: str | None = None
        """Why the files as they are now are not in use; None when they are."""

    @abstractmethod
    def files(self) -> Iterable[Path]:
        """What is looked at; raises OSError."""

    @abstractmethod
    def load(self) -> T:
        """What the files say now; raises OSError, or an error of `mendable`."""

    def taken(self, former: T | None) -> None:
        """Called after each change, with what was in use before."""

    def details(self, value: T | None) -> dict[str, Any]:
        """What a log line says about a value; never a secret."""
        return {} if value is None else {"value": str(value)}

    def look(self) -> tuple[FileStamp | None, ...]:
        """What changes with the files; raises OSError."""
        return tuple(map(stamp, self.files()))

    def check(self) -> bool:
        """Look at the files once; whether something else is in use now. Never raises."""
        try:
            seen = self.look()
            if seen == self._stamp:
                return False
            self._stamp, former = seen, self.current
            self.current = self.load()
        except self.mendable as error:
            self._refuse(str(error))
        except OSError as error:
            self._stamp = None
            self._refuse(f"{error.strerror}: {error.filename}")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with new files, the last good ones serve on
            _log.exception("%s cannot be used", self._what)
            self._refuse(f"internal error: {type(error).__name__}")
        else:
            return self._took(former)
        return False

    async def run(self) -> None:
        """Look at the files for ever."""
        while True:
            self.check()
            await asyncio.sleep(self._poll_seconds)

    def _took(self, former: T | None) -> bool:
        self.error = None
        if self.current is former:
            return False
        _log.info("%s in use", self._what, extra=self.details(self.current))
        self.taken(former)
        return True

    def _refuse(self, reason: str) -> None:
        """Say why the files are not in use, once per reason."""
        if reason != self.error:
            kept = {f"kept_{name}": value for name, value in self.details(self.current).items()}
            _log.error("%s refused", self._what, extra={"reason": reason, **kept})
        self.error = reason


def stamp(path: Path) -> FileStamp:
    """The stamp of a file; raises OSError."""
    found = path.stat()
    return path.name, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def stamp_or_none(path: Path) -> FileStamp | None:
    """The stamp of a file, None for one that cannot be looked at."""
    try:
        return stamp(path)
    except OSError:
        return None


def read_up_to(path: Path, most: int) -> bytes:
    """The content of a file; raises OSError, or UnusableError when it has more bytes."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UnusableError(f"the file {path.name} is larger than {most} bytes")
    return content
