"""The route in use: it comes with a contract, changes with it, and closes its connections when a drain wants that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llmops_sidecars.contract import Contract
from llmops_sidecars.engine.route import Route
from llmops_sidecars.openai.errors import not_ready


@dataclass(eq=False)
class Use:
    """A route, the contract that it belongs to, and how many requests it has."""

    contract: Contract
    route: Route
    in_flight: int = 0


class CurrentRoute:
    """Requests under way end on the route on which they began; a replaced one is closed after its last."""

    def __init__(self, make: Callable[[Contract], Route]) -> None:
        self._make = make
        self._use: Use | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self.draining = False
        """Whether connections are closed whenever nothing is in flight."""

    @property
    def ejected(self) -> int:
        """How many endpoints are out of rotation."""
        return 0 if self._use is None else self._use.route.ejected

    def configure(self, contract: Contract) -> None:
        """Use another contract from the next request on; the route changes only when its engines do."""
        former = self._use
        if former is not None and _engines(former.contract) == _engines(contract):
            former.contract = contract
            return
        self._use = Use(contract, self._make(contract))
        if former is not None:
            self._close_if_idle(former)

    @contextlib.contextmanager
    def lease(self) -> Iterator[Use]:
        """Hold the route for one request; raises ApiError (`not_ready`) before the first contract."""
        use = self._use
        if use is None:
            raise not_ready("no contract is loaded yet")
        use.in_flight += 1
        try:
            yield use
        finally:
            use.in_flight -= 1
            self._close_if_idle(use)

    def drain(self) -> None:
        """Begin to close connections whenever nothing is in flight: Triton's exit waits for idle ones."""
        self.draining = True
        if self._use is not None:
            self._close_if_idle(self._use)

    async def close(self) -> None:
        """Close everything, at the end of the process."""
        if self._use is not None:
            await self._use.route.close()
        await asyncio.gather(*self._closing)

    def _close_if_idle(self, use: Use) -> None:
        if use.in_flight == 0 and (self.draining or use is not self._use):
            task = asyncio.ensure_future(use.route.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _engines(contract: Contract) -> tuple[object, object]:
    return contract.engine, contract.fallback
