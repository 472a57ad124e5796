"""One pass: observe, plan, apply, report. Level-triggered: it reads what is, and goes from there.

An object that is gone needs nothing: its children go by their owner references. No spec is ever written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from llmops_operator import names
from llmops_operator.api import GuardPolicySpec, PromptTemplateSpec
from llmops_operator.cluster import kinds, references
from llmops_operator.cluster.apply import Applier, Outcome, Result
from llmops_operator.cluster.client import Client, NoAuthorityError
from llmops_operator.cluster.errors import ApiError, NotFoundError, TerminalError
from llmops_operator.cluster.guards import Guards
from llmops_operator.cluster.kinds import Document, Key
from llmops_operator.cluster.metrics import Metrics
from llmops_operator.cluster.observe import find, find_lists, find_references, observe
from llmops_operator.decide.conditions import READY, RECONCILING, STALLED, Condition, as_documents
from llmops_operator.decide.plan import FOLLOW, plan
from llmops_operator.decide.status import deployment_status, policy_status, template_status
from llmops_operator.decide.values import Hold, Plan
from llmops_operator.settings import Settings
from llmops_operator.world import World, metadata, resource

logger = logging.getLogger(__name__)

REASONS: Mapping[int, str] = {
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.CONFLICT: "Conflict",
    HTTPStatus.TOO_MANY_REQUESTS: "Throttled",
}


@dataclass(frozen=True)
class Pass:
    """How a pass ended: `outcome` is ok, held or gone; `again` asks for another one in so many seconds."""

    outcome: str
    again: float | None = None


@dataclass(frozen=True)
class Reconciler:
    """Makes the cluster what the resources say, one key at a time; `now` gives the time of day, for conditions."""

    client: Client
    guards: Guards
    applier: Applier
    settings: Settings
    metrics: Metrics
    now: Callable[[], datetime]

    async def reconcile(self, key: Key) -> Pass:
        """One pass over the object of this key; raises ApiError, or whatever else went wrong, after reporting it."""
        document = await find(self.client, kinds.BY_NAME[key.kind], key.namespace, key.name)
        if document is None:
            self.applier.forget(key)
            self.metrics.forget(key)
            return Pass("gone")
        try:
            if key.kind == names.LLM_DEPLOYMENT:
                return await self._deployment(key, document)
            return await self._content(key, document)
        except _ReportedError as reported:
            raise reported.error from None
        except Exception as error:
            await self._report_quietly(key, document, _failed_status(document, failure(error), self.now()))
            raise

    async def _deployment(self, key: Key, document: Document) -> Pass:
        world = await observe(self.client, self.guards, self.settings, document, self.now())
        planned = plan(world)
        _tell(key, planned)
        try:
            results = await self._carry_out(key, world, planned)
        except _OwnerGoneError:
            logger.info("%s: deleted meanwhile; nothing more is written for it", key)
            return Pass("gone", again=0.0)
        except Exception as error:
            await self._report_quietly(key, document, deployment_status(world, planned, failure(error)))
            raise _ReportedError(error) from error
        await self._report(key, document, deployment_status(_after(world, results), planned))
        return Pass("held" if planned.hold else "ok", _again(planned, results))

    async def _carry_out(self, key: Key, world: World, planned: Plan) -> list[Result]:
        """Apply, nudge, prune, in this order; nothing is pruned while a child still waits."""
        results = [
            await self._apply(key, world, child.document) for child in planned.children if child.reason is not None
        ]
        for nudge in planned.nudges:
            await self.applier.nudge(key.namespace, nudge.pod, nudge.uid, nudge.annotations)
        if not any(result.outcome is Outcome.POSTPONED for result in results):
            results += [await self.applier.prune(one.document) for one in planned.prune]
        for result in results:
            logger.info("%s: %s", key, result)
        return results

    async def _apply(self, key: Key, world: World, document: Document) -> Result:
        """Apply one child, if its owner is still there.

        What was observed may be seconds old, and a child of an owner that was deleted since would be made for nobody:
        the server takes it, and only its garbage collector would find it.
        """
        owner = await find(self.client, kinds.BY_NAME[key.kind], key.namespace, key.name)
        found = None if owner is None else metadata(owner)
        if found is None or found.deleting or found.uid != world.deployment.metadata.uid:
            raise _OwnerGoneError
        return await self.applier.apply(key, document, world.child(document["kind"], _name(document)))

    async def _content(self, key: Key, document: Document) -> Pass:
        if key.kind == names.PROMPT_TEMPLATE:
            included = await find_references(self.client, document)
            templates = {_name(one): resource(one, PromptTemplateSpec) for one in (*included, document)}
            status = template_status(key.name, templates, self.now())
        else:
            lists = await find_lists(self.client, document)
            status = policy_status(resource(document, GuardPolicySpec), lists, self.now())
        await self._report(key, document, status)
        return Pass("ok", FOLLOW.total_seconds() if references.lists(document) else None)

    async def _report(self, key: Key, document: Document, status: Document) -> None:
        """Write the status if it differs from what stands there: the one place that does."""
        self.metrics.conditions(key, {one["type"]: one["status"] for one in status["conditions"]})
        if _comparable(status) == _comparable(document.get("status") or {}):
            return
        metadata = {"name": key.name, "namespace": key.namespace, "uid": document["metadata"]["uid"]}
        wanted = {"apiVersion": names.API_VERSION, "kind": key.kind, "metadata": metadata, "status": status}
        try:
            await self.client.apply_status(wanted)
        except NotFoundError:
            logger.info("%s: deleted meanwhile", key)

    async def _report_quietly(self, key: Key, document: Document, status: Document) -> None:
        """Report a failure; when that fails too, the first one counts."""
        try:
            await self._report(key, document, status)
        except NoAuthorityError:
            return
        except ApiError as error:
            logger.warning("%s: the status cannot be written either: %s", key, error)


class _OwnerGoneError(Exception):
    """The object of this pass was deleted or replaced since the pass began."""


class _ReportedError(Exception):
    """Carries an error whose report is written."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def failure(error: Exception) -> Hold:
    """What a failed pass tells the user: what went wrong, and whether a person has to act."""
    if isinstance(error, TerminalError):
        return Hold("Rejected", f"the API server refuses it; correct what it names: {error}", terminal=True)
    if isinstance(error, NotFoundError):
        return Hold("NotFound", f"the namespace or the kind is gone; tried again: {error}", terminal=False)
    if isinstance(error, ApiError):
        reason = REASONS.get(error.status or 0, "ServerUnavailable")
        advice = "; check roles, quotas and admission policies" if reason == "Forbidden" else ""
        return Hold(reason, f"tried again by itself{advice}: {error}", terminal=False)
    return Hold("InternalError", "a fault of the operator, tried again; its log holds the traceback", terminal=False)


def _failed_status(document: Document, hold: Hold, now: datetime) -> Document:
    """What was reported last, with the failure: nothing else is known."""
    previous = document.get("status") or {}
    known = previous.get("conditions") or []
    kept = [Condition(one["type"], one["status"], one["reason"], one["message"]) for one in known if _stays(one)]
    ready = kept or [Condition(READY, "Unknown", hold.reason, hold.message)]
    found = (*ready, Condition(STALLED if hold.terminal else RECONCILING, "True", hold.reason, hold.message))
    generation = previous.get("observedGeneration", 0)
    return {**previous, "conditions": as_documents(found, known, generation, now)}


def _stays(condition: Mapping[str, Any]) -> bool:
    return condition["type"] not in (RECONCILING, STALLED)


def _after(world: World, results: list[Result]) -> World:
    """The World as the writes have left it: what was applied is known from the answers."""
    answers = {(result.kind, result.name): result.live for result in results if result.live is not None}
    gone = {(result.kind, result.name) for result in results if result.outcome is Outcome.DELETED}
    untouched = (one for one in world.children if (one["kind"], _name(one)) not in answers.keys() | gone)
    return replace(world, children=(*untouched, *answers.values()))


def _again(planned: Plan, results: list[Result]) -> float | None:
    wishes = [result.again for result in results if result.again is not None]
    if planned.requeue_after is not None:
        wishes.append(planned.requeue_after.total_seconds())
    return min(wishes, default=None)


def _comparable(status: Mapping[str, Any]) -> dict[str, Any]:
    """A status whose conditions have no order."""
    return {**status, "conditions": {one["type"]: one for one in status.get("conditions") or []}}


def _name(document: Mapping[str, Any]) -> str:
    name: str = document["metadata"]["name"]
    return name


def _tell(key: Key, planned: Plan) -> None:
    for reason in planned.reasons():
        logger.debug("%s: %s", key, reason)
