"""What all endpoints share: one request from its first byte to its record.

caller -> slot -> body -> the endpoint's own work -> record
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from llmops_sidecars.guard.access.caller import Caller
from llmops_sidecars.guard.access.control import Access
from llmops_sidecars.guard.access.quota import Quotas
from llmops_sidecars.guard.metrics import GuardMetrics
from llmops_sidecars.guard.record import Record, begin
from llmops_sidecars.guard.serving import Serving
from llmops_sidecars.openai.errors import ApiError, engine_timeout, internal_error, not_ready
from llmops_sidecars.proxy.admission import Admission
from llmops_sidecars.proxy.asgi import (
    ClientDisconnectedError,
    Receive,
    Scope,
    Send,
    StreamSender,
    read_body,
    send_failure,
    until_disconnect,
)
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.deadline import Deadline
from llmops_sidecars.proxy.drain import Drain

DRAINING = "draining"
"""An error whose connection has to go too: the client's next request is for another pod."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Incoming:
    """A request that has been read, and what it is answered with; it prints without its body."""

    serving: Serving
    scope: Scope
    body: bytes = field(repr=False)
    sender: StreamSender
    record: Record
    caller: Caller


Work = Callable[[Incoming], Awaitable[None]]
"""What an endpoint does with a request; raises ApiError."""


class Pipeline:
    """One for all endpoints of a guard: they share its slots."""

    def __init__(
        self,
        contract: ContractFile[Serving],
        access: Access,
        drain: Drain,
        metrics: GuardMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep them; the admission follows the contract's limits."""
        self._contract, self._access, self._drain, self._metrics = contract, access, drain, metrics
        self._clock = clock
        self._quotas = Quotas(clock)
        self._admission = Admission(1, 0, clock=clock)
        contract.subscribe(lambda new, _: self._resize(new.built))
        if contract.current is not None:
            self._resize(contract.current.built)
        metrics.in_flight.set_function(lambda: self._admission.running)
        metrics.queued.set_function(lambda: self._admission.waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send, work: Work) -> None:
        """Serve one request, whatever becomes of it, and write its record last."""
        record, sender = begin(scope, self._clock()), StreamSender(send)
        try:
            with self._drain.track():
                await self._serve(scope, receive, sender, record, work)
        except ClientDisconnectedError:
            record.outcome = record.outcome if record.ended else "client_left"
        except ApiError as error:
            await self._fail(error, sender, record)
        except Exception:  # noqa: BLE001 - the client gets an answer whatever is wrong, and the log says what
            _log.exception("a request failed", extra={"request_id": record.request_id})
            await self._fail(internal_error(), sender, record)
        finally:
            record.settle()
            record.write(self._clock(), self._metrics)

    async def _serve(self, scope: Scope, receive: Receive, sender: StreamSender, record: Record, work: Work) -> None:
        """Find out who asks, wait for a slot, and only then read: what waits takes no memory for its body."""
        self._serving()
        asked = self._clock()
        caller = await self._access.authenticate(scope)
        record.access_seconds = self._clock() - asked
        record.tenant, record.partition = caller.tenant, caller.partition
        record.tenant_label = self._access.label(caller)
        record.quota = quota = self._quotas.of(caller)
        quota.take()
        async with self._admission.slot(caller.share) as waited:
            record.queue_seconds = waited
            self._metrics.queue.observe(waited)
            serving = self._serving()
            reading = self._clock()
            body = await read_body(scope, receive, serving.contract.limits.body_bytes)
            record.body_seconds = self._clock() - reading
            quota.charge(len(body))
            await until_disconnect(receive, _timed(work, Incoming(serving, scope, body, sender, record, caller)))

    async def _fail(self, error: ApiError, sender: StreamSender, record: Record) -> None:
        """Answer with an error: as a status before the first byte, as the last event after it."""
        record.outcome = error.code
        record.status = record.status or error.status
        try:
            close = [(b"connection", b"close")] if error.code == DRAINING else []
            await send_failure(sender, error, [*record.headers(self._clock()), *close])
        except ClientDisconnectedError:
            record.outcome = "client_left"

    def _serving(self) -> Serving:
        if self._contract.current is None:
            raise not_ready(self._contract.error or "no contract has been read yet")
        return self._contract.current.built

    def _resize(self, serving: Serving) -> None:
        limits = serving.contract.limits
        self._admission.resize(limits.concurrent_requests, limits.queued_requests, limits.queue_seconds)


async def _timed(work: Work, incoming: Incoming) -> None:
    seconds = incoming.serving.contract.limits.request_seconds
    try:
        with Deadline(seconds):
            await work(incoming)
    except TimeoutError as error:
        raise engine_timeout("the end of its answer", seconds) from error
