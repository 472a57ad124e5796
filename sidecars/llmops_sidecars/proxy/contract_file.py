"""The contract file: read at start, watched, and replaced in use only by one that works.

A mounted ConfigMap changes by the swap of a symbolic link (`..data`) in its directory. So the file that the path leads
to is what is compared, every POLL_SECONDS, by its number, time and size: no watch that a swap could leave behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from llmops_sidecars.contract import Contract, ContractError, decode, digest

POLL_SECONDS = 0.25

MAX_BYTES = 4 * 1024 * 1024
"""More than a ConfigMap can hold."""

T = TypeVar("T")

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int, int]


def nothing(_contract: Contract) -> Sequence[str]:
    """No files beside the contract."""
    return ()


@dataclass(frozen=True)
class InUse(Generic[T]):
    """A contract that works: the digest of its bytes, itself, and what was built from it."""

    digest: str
    contract: Contract
    built: T


class ContractFile(Generic[T]):
    """The last good contract of a file.

    `build` makes from a contract what its user needs (compiled rules, a driver); when it raises, the contract is
    refused like one that cannot be read; ContractError is for reasons that its author can mend. `beside` names files
    that `build` reads: when one of them changes, or comes to be, it is built again.
    Subscribers are called after each change with the new and the former one.
    """

    def __init__(
        self,
        path: Path,
        build: Callable[[Contract], T],
        *,
        beside: Callable[[Contract], Sequence[str]] = nothing,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._path = path
        self._build, self._beside = build, beside
        self._poll_seconds = poll_seconds
        self._stamp: _Stamp | None = None
        self._files: dict[str, _Stamp | None] = {}
        self._subscribers: list[Callable[[InUse[T], InUse[T] | None], None]] = []
        self.current: InUse[T] | None = None
        """The contract in use; None until the first good one."""
        self.error: str | None = None
        """Why the file as it is now is not in use; None when it is."""

    def subscribe(self, callback: Callable[[InUse[T], InUse[T] | None], None]) -> None:
        """Have `callback(new, former)` called after each change; an exception from it is logged and goes no further."""
        self._subscribers.append(callback)

    def check(self) -> bool:
        """Look at the file once; whether another contract is in use now. Never raises."""
        try:
            stamp, changed = _stamp(self._path), {file: _stamp_or_none(file) for file in self._files} != self._files
            if stamp == self._stamp and not changed:
                return False
            self._stamp = stamp
            return self._take(self._read(), again=changed)
        except ContractError as error:
            self._refuse(str(error))
        except OSError as error:
            self._stamp = None
            self._refuse(f"{error.strerror}: {error.filename}")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a new contract, the last good one serves on
            _log.exception("the contract cannot be used")
            self._refuse(f"internal error: {type(error).__name__}")
        return False

    async def run(self) -> None:
        """Look at the file for ever."""
        while True:
            self.check()
            await asyncio.sleep(self._poll_seconds)

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            document = file.read(MAX_BYTES + 1)
        if len(document) > MAX_BYTES:
            raise ContractError(f"the file is larger than {MAX_BYTES} bytes")
        return document

    def _take(self, document: bytes, *, again: bool) -> bool:
        """Use a document; `again`: also one that is in use, whose files have changed."""
        name, former = digest(document), self.current
        known = former.contract if former is not None and former.digest == name else None
        contract = known or decode(document)
        self._files = {file: _stamp_or_none(file) for file in self._beside(contract)}
        if known is not None and not again:
            self.error = None
            return False
        self.current = InUse(name, contract, self._build(contract))
        self.error = None
        _log.info("contract in use", extra={"digest": name})
        for callback in self._subscribers:
            self._notify(callback, self.current, former)
        return True

    def _notify(
        self, callback: Callable[[InUse[T], InUse[T] | None], None], new: InUse[T], former: InUse[T] | None
    ) -> None:
        try:
            callback(new, former)
        except Exception:  # noqa: BLE001 - the contract is in use, and the others must hear of it
            _log.exception("a subscriber of the contract failed")

    def _refuse(self, reason: str) -> None:
        """Say why the file is not in use, once per reason."""
        if reason != self.error:
            kept = self.current.digest if self.current else None
            _log.error("contract refused", extra={"reason": reason, "kept": kept})
        self.error = reason


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _stamp_or_none(file: str) -> _Stamp | None:
    try:
        return _stamp(Path(file))
    except OSError:
        return None
