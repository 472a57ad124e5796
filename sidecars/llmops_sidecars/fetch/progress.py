"""How far a download is, in a line for people."""

from __future__ import annotations

from collections.abc import Callable

GIGABYTE = 1e9
MEGABYTE = 1e6


class Progress:
    """Bytes and files. `total` is the size of all missing files, in bytes; `clock` is monotonic, in seconds."""

    def __init__(self, files: int, total: int, clock: Callable[[], float]) -> None:
        self._files = files
        self._total = total
        self._clock = clock
        self._started = clock()
        self._sizes: dict[str, int] = {}
        self._received = 0
        self.finished = 0

    def advance(self, path: str, size: int, received: int = 0) -> None:
        """A file is at `size` bytes now, `received` of them just came."""
        self._sizes[path] = size
        self._received += received

    def line(self) -> str:
        """Files, size, share, rate since the start, elapsed time."""
        elapsed = max(self._clock() - self._started, 1e-3)
        done = sum(self._sizes.values())
        share = f" ({done / self._total:.0%})" if self._total else ""
        return (
            f"{self.finished} of {self._files} files, {done / GIGABYTE:.2f} of {self._total / GIGABYTE:.2f} GB{share}, "
            f"{self._received / elapsed / MEGABYTE:.1f} MB/s, {elapsed:.0f} s"
        )
