"""The contract file: the one in use is the last good one (`proxy.watched`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from llmops_sidecars.contract import Contract, ContractError, decode, digest
from llmops_sidecars.proxy.watched import POLL_SECONDS, FileStamp, UnusableError, Watched, read_up_to, stamp_or_none

MAX_BYTES = 4 * 1024 * 1024
"""More than a ConfigMap can hold."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def nothing(_contract: Contract) -> Sequence[str]:
    """No files beside the contract."""
    return ()


@dataclass(frozen=True)
class InUse(Generic[T]):
    """A contract that works: the digest of its bytes, itself, and what was built from it."""

    digest: str
    contract: Contract
    built: T


class ContractFile(Watched[InUse[T]]):
    """The last good contract of a file.

    `build` makes from a contract what its user needs (compiled rules, a driver); when it raises, the contract is
    refused like one that cannot be read; ContractError is for reasons that its author can mend. `beside` names files
    that `build` reads: when one of them changes, or comes to be, it is built again.
    Subscribers are called after each change with the new and the former one.
    """

    mendable = (ContractError, UnusableError)

    def __init__(
        self,
        path: Path,
        build: Callable[[Contract], T],
        *,
        beside: Callable[[Contract], Sequence[str]] = nothing,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        super().__init__("contract", poll_seconds=poll_seconds)
        self._path = path
        self._build, self._beside = build, beside
        self._files: tuple[str, ...] = ()
        self._built_of: tuple[FileStamp | None, ...] = ()
        self._subscribers: list[Callable[[InUse[T], InUse[T] | None], None]] = []

    def subscribe(self, callback: Callable[[InUse[T], InUse[T] | None], None]) -> None:
        """Have `callback(new, former)` called after each change; an exception from it is logged and goes no further."""
        self._subscribers.append(callback)

    def files(self) -> Iterable[Path]:
        """The one file."""
        return (self._path,)

    def load(self) -> InUse[T]:
        """The contract that the file holds; the one in use, when it is the same, and the files beside it are."""
        document = read_up_to(self._path, MAX_BYTES)
        name = digest(document)
        known = self.current if self.current is not None and self.current.digest == name else None
        contract = known.contract if known is not None else decode(document)
        self._files = tuple(self._beside(contract))
        beside = self._stamps()
        if known is not None and beside == self._built_of:
            return known
        built = self._build(contract)
        self._built_of = beside
        return InUse(name, contract, built)

    def look(self) -> tuple[FileStamp | None, ...]:
        """The contract's file and those beside it, which may be missing: what is built of them says so."""
        return (*super().look(), *self._stamps())

    def details(self, value: InUse[T] | None) -> dict[str, Any]:
        """A contract's digest."""
        return {"digest": value.digest if value else None}

    def taken(self, former: InUse[T] | None) -> None:
        """Tell the subscribers."""
        if self.current is not None:
            for callback in self._subscribers:
                self._notify(callback, self.current, former)

    def _stamps(self) -> tuple[FileStamp | None, ...]:
        return tuple(stamp_or_none(Path(file)) for file in self._files)

    def _notify(
        self, callback: Callable[[InUse[T], InUse[T] | None], None], new: InUse[T], former: InUse[T] | None
    ) -> None:
        try:
            callback(new, former)
        except Exception:  # noqa: BLE001 - the contract is in use, and the others must hear of it
            _log.exception("a subscriber of the contract failed")
