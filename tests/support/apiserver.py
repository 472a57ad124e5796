"""A small API server at the wire: storage, versions, list and watch, server-side apply on maps, status, faults, a log.

Lists are atomic in its server-side apply, what an owner leaves behind is collected at once, what is made for one that
is gone soon after, and nothing is validated or defaulted: what needs the real server is tested on the real server.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from llmops_operator.cluster.connection import Connection
from llmops_operator.cluster.kinds import ALL, BY_NAME, Kind

Document = dict[str, Any]
Path = tuple[str, ...]
Address = tuple[str, str, str]  # plural, namespace, name

_EXTRA = (
    Kind("", "v1", "Namespace", "namespaces", ("get", "list", "watch")),
    Kind("", "v1", "Event", "events", ("create",)),
    Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", ("list", "watch")),
)
_ROUTE = re.compile(
    r"/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<subresource>status))?$"
)
COLLECTION_SECONDS = 0.1
WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Logged:
    """One request as the server saw it; `who` is the bearer token, `status` the answer's."""

    who: str
    method: str
    path: str
    manager: str
    status: int

    @property
    def is_write(self) -> bool:
        return self.method in WRITES


@dataclass
class Fault:
    """What goes wrong: for requests that match, `times` times (None: until cleared)."""

    status: int = 500
    method: str = ""
    path: str = ""
    watch: bool | None = None
    who: str = ""
    times: int | None = None
    drop: bool = False
    commit: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: Document | None = None
    seen: int = 0

    def clear(self) -> None:
        self.times = 0

    def strikes(self, who: str, method: str, path: str, *, watch: bool) -> bool:
        wanted = (
            self.times != 0
            and self.method in ("", method)
            and self.who in ("", who)
            and re.search(self.path, path) is not None
            and self.watch in (None, watch)
        )
        if wanted:
            self.seen += 1
            self.times = None if self.times is None else self.times - 1
        return wanted


@dataclass
class Moment:
    """Something that happens once, when the first request of this method and path arrives, before it is answered."""

    method: str
    path: str
    act: Callable[[], object]
    over: bool = False

    def strikes(self, method: str, path: str) -> bool:
        return not self.over and self.method == method and re.search(self.path, path) is not None


class RefusedError(Exception):
    def __init__(self, status: int, reason: str, message: str = "", details: Document | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.details = status, reason, message, details or {}

    def answer(self, headers: dict[str, str] | None = None) -> web.Response:
        body = {"kind": "Status", "apiVersion": "v1", "code": self.status, "reason": self.reason}
        return web.json_response(
            {**body, "message": self.message, "details": self.details}, status=self.status, headers=headers
        )


class FakeApi:
    """The server; `serve()` runs it. `put`, `edit` and `remove` are strangers' hands: neither logged nor faulty."""

    def __init__(self) -> None:
        self.objects: dict[Address, Document] = {}
        self.log: list[Logged] = []
        self.faults: list[Fault] = []
        self.moments: list[Moment] = []
        self.hidden_groups: set[str] = set()
        self.page_size: int | None = None
        self.url = ""
        self._owned: dict[Address, dict[str, set[Path]]] = {}
        self._events: list[tuple[int, str, Document, str]] = []
        self._version = itertools.count(101)
        self._uid = itertools.count(1)
        self._changed = asyncio.Event()
        self._watches: set[asyncio.Transport] = set()
        self._runner: web.AppRunner | None = None
        self._kinds = {kind.plural: kind for kind in (*ALL, *_EXTRA)}

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[FakeApi]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def connection(self, who: str = "operator") -> Connection:
        async def authorization() -> str:
            return f"Bearer {who}"

        return Connection(self.url, authorization)

    def connections(self) -> int:
        """How many connections are open."""
        assert self._runner is not None
        assert self._runner.server is not None
        return sum(one.transport is not None for one in self._runner.server.connections)

    def fail(self, **options: Any) -> Fault:
        """Let requests fail; see Fault."""
        fault = Fault(**options)
        self.faults.append(fault)
        return fault

    def at(self, method: str, path: str, act: Callable[[], object]) -> Moment:
        """Do something in the middle of what the client does; see Moment."""
        moment = Moment(method, path, act)
        self.moments.append(moment)
        return moment

    def writes(self, *, since: int = 0, leases: bool = False) -> list[Logged]:
        """Writes that the server took, without those of leases."""
        good = (one for one in self.log[since:] if one.is_write and one.status < 400)
        return [one for one in good if leases or "/leases" not in one.path]

    def find(self, kind: str, namespace: str, name: str) -> Document | None:
        return self.objects.get((BY_NAME[kind].plural, namespace, name))

    def all(self, kind: str) -> list[Document]:
        return [one for (plural, _, _), one in self.objects.items() if plural == BY_NAME[kind].plural]

    def put(self, document: Document) -> Document:
        """Create or replace an object; its status too."""
        kind, metadata = BY_NAME[document["kind"]], document["metadata"]
        address = (kind.plural, metadata["namespace"], metadata["name"])
        return self._store(address, deepcopy(document), self.objects.get(address))

    def edit(self, kind: str, namespace: str, name: str, change: Document) -> Document:
        """Merge a change into an object, as a person's `kubectl edit` would; what it names is the person's then."""
        address = (BY_NAME[kind].plural, namespace, name)
        self._own(address, "person", set(_leaves(change)), force=True)
        return self._store(address, _merged(self.objects[address], change), self.objects[address])

    def remove(self, kind: str, namespace: str, name: str) -> None:
        self._delete((BY_NAME[kind].plural, namespace, name))

    def break_watches(self) -> None:
        """Close every open watch, as a load balancer does."""
        for transport in list(self._watches):
            transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        who = request.headers.get("Authorization", "").removeprefix("Bearer ")
        watch = request.query.get("watch") == "true"
        fault = next((f for f in self.faults if f.strikes(who, request.method, request.path, watch=watch)), None)
        body = json.loads(await request.read() or b"{}")
        for moment in [one for one in self.moments if one.strikes(request.method, request.path)]:
            moment.over = True
            moment.act()
        if fault and fault.commit:
            self._answer(request, body)
        if fault and fault.drop:
            self._note(request, who, 0)
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault:
            self._note(request, who, fault.status)
            return _faulty(fault)
        if watch:
            self._note(request, who, 200)
            return await self._watch(request)
        answer = self._answer(request, body)
        self._note(request, who, answer.status)
        return answer

    def _note(self, request: web.Request, who: str, status: int) -> None:
        manager = request.query.get("fieldManager", "")
        self.log.append(Logged(who, request.method, request.path, manager, status))

    def _answer(self, request: web.Request, body: Document) -> web.Response:
        try:
            if (found := self._discover(request.path)) is not None:
                return web.json_response(found)
            return web.json_response(self._operate(request, body))
        except RefusedError as error:
            return error.answer()

    def _operate(self, request: web.Request, body: Document) -> Document:
        kind, address, subresource = self._route(request.path)
        _, namespace, name = address
        if request.method == "GET":
            return self._get(address) if name else self._list(kind, namespace, request)
        if request.method == "POST":
            return self._create((address[0], namespace, body["metadata"]["name"]), body)
        if request.method == "DELETE":
            wanted = body.get("preconditions", {}).get("uid")
            _require(wanted in (None, self._get(address)["metadata"]["uid"]), "the uid differs")
            return self._delete(address)
        manager = request.query["fieldManager"]
        if "apply-patch" in request.headers["Content-Type"]:
            return self._apply(address, body, manager, subresource)
        return self._patch(address, body, manager)

    def _route(self, path: str) -> tuple[Kind, Address, str]:
        found = _ROUTE.match(path)
        kind = self._kinds.get(found["plural"]) if found else None
        if found is None or kind is None or kind.group in self.hidden_groups:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        address = (kind.plural, found["namespace"] or "", found["name"] or "")
        return kind, address, found["subresource"] or ""

    def _discover(self, path: str) -> Document | None:
        kinds = [kind for kind in self._kinds.values() if kind.group not in self.hidden_groups]
        if path == "/api":
            return {"versions": ["v1"]}
        if path == "/apis":
            groups = {kind.group: {"groupVersion": kind.api_version, "version": kind.version} for kind in kinds}
            named = [{"name": group, "versions": [v], "preferredVersion": v} for group, v in groups.items() if group]
            return {"groups": named}
        found = [kind for kind in kinds if path == kind.path().removesuffix(f"/{kind.plural}")]
        return {"resources": [_resource(kind) for kind in found]} if found else None

    def _get(self, address: Address) -> Document:
        if address not in self.objects:
            raise RefusedError(404, "NotFound", f"{address[0]} {address[2]!r} not found")
        return self.objects[address]

    def _list(self, kind: Kind, namespace: str, request: web.Request) -> Document:
        items = list(self._select(kind, namespace, request))
        start = int(request.query.get("continue", "0"))
        end = start + (self.page_size or len(items) or 1)
        metadata = {"resourceVersion": str(self._latest()), "continue": str(end) if end < len(items) else ""}
        bare = [{key: one[key] for key in one if key not in ("kind", "apiVersion")} for one in items[start:end]]
        return {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": metadata, "items": bare}

    def _select(self, kind: Kind, namespace: str, request: web.Request) -> Iterator[Document]:
        for (plural, where, _), document in sorted(self.objects.items()):
            if plural == kind.plural and namespace in ("", where) and _matches(document, request):
                yield document

    def _create(self, address: Address, body: Document) -> Document:
        if address in self.objects:
            raise RefusedError(409, "AlreadyExists", f"{address[2]} already exists")
        return self._store(address, body, None)

    def _apply(self, address: Address, body: Document, manager: str, subresource: str) -> Document:
        live = self.objects.get(address)
        if subresource:
            live = self._get(address)
            body = {"status": body["status"]}
        elif live is not None:
            body = {key: value for key, value in body.items() if key != "status"}
        uid = body.get("metadata", {}).get("uid")
        _require(live is None or uid in (None, live["metadata"]["uid"]), "the uid differs")
        _require(live is not None or uid is None, "the object is gone")
        wanted = set(_leaves(body))
        gone = self._own(address, manager, wanted, force=True)
        merged = _merged(live or {}, body)
        for path in sorted(gone, key=len, reverse=True):
            _remove(merged, path)
        stored = self._store(address, merged, live)
        if live is None:
            asyncio.get_running_loop().call_later(COLLECTION_SECONDS, self._collect, address, stored["metadata"]["uid"])
        return stored

    def _patch(self, address: Address, change: Document, manager: str) -> Document:
        live = self._get(address)
        wanted = change.get("metadata", {})
        for precondition in ("resourceVersion", "uid"):
            have = live["metadata"][precondition]
            _require(wanted.get(precondition, have) == have, f"the {precondition} differs")
        self._own(address, manager, set(_leaves(change)), force=True)
        return self._store(address, _merged(live, change), live)

    def _own(self, address: Address, manager: str, wanted: set[Path], *, force: bool) -> set[Path]:
        """Give the paths to the manager; returns what it owned alone and no longer names."""
        owners = self._owned.setdefault(address, {})
        gone = owners.get(manager, set()) - wanted
        owners[manager] = wanted if manager != "person" else wanted | owners.get(manager, set())
        others = {path for name, paths in owners.items() if name != manager for path in paths}
        return {path for path in gone if force and path not in others}

    def _store(self, address: Address, document: Document, live: Document | None) -> Document:
        metadata = document.setdefault("metadata", {})
        if live is None:
            fresh = {"uid": f"uid-{next(self._uid)}", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1}
            document["metadata"] = metadata = {**fresh, **metadata}
        elif document == live:
            return live
        elif document.get("spec") != live.get("spec"):
            metadata["generation"] = live["metadata"].get("generation", 1) + 1
        version = next(self._version)
        metadata["resourceVersion"] = str(version)
        self.objects[address] = document
        self._emit(version, "ADDED" if live is None else "MODIFIED", address, document)
        return document

    def _delete(self, address: Address) -> Document:
        document = self.objects.pop(address)
        self._owned.pop(address, None)
        version = next(self._version)
        self._emit(
            version,
            "DELETED",
            address,
            document | {"metadata": document["metadata"] | {"resourceVersion": str(version)}},
        )
        uid = document["metadata"]["uid"]
        for other, one in list(self.objects.items()):
            if uid in [owner["uid"] for owner in one["metadata"].get("ownerReferences", [])]:
                self._delete(other)
        return document

    def _collect(self, address: Address, uid: str) -> None:
        """The garbage collector looks at a new object: it goes when it has owners and none of them is there."""
        document = self.objects.get(address)
        if document is None or document["metadata"]["uid"] != uid:
            return
        owners = {owner["uid"] for owner in document["metadata"].get("ownerReferences", [])}
        if owners and not owners & {one["metadata"]["uid"] for one in self.objects.values()}:
            self._delete(address)

    def _emit(self, version: int, what: str, address: Address, document: Document) -> None:
        self._events.append((version, what, deepcopy(document), address[0]))
        self._changed.set()
        self._changed = asyncio.Event()

    def _latest(self) -> int:
        return self._events[-1][0] if self._events else 100

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        kind, (_, namespace, _), _ = self._route(request.path)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        assert request.transport is not None
        transport = request.transport
        self._watches.add(transport)
        seen = int(request.query.get("resourceVersion", "0"))
        try:
            async with asyncio.timeout(float(request.query.get("timeoutSeconds", "60"))):
                while True:
                    changed = self._changed
                    for version, what, document, plural in self._events:
                        inside = namespace in ("", document["metadata"]["namespace"])
                        if version > seen and plural == kind.plural and inside and _matches(document, request):
                            await _send(response, {"type": what, "object": document})
                    seen = self._latest()
                    await changed.wait()
        except (TimeoutError, ConnectionError):
            return response
        finally:
            self._watches.discard(transport)


def _faulty(fault: Fault) -> web.Response:
    if fault.body is not None:
        text = json.dumps(fault.body) + "\n"
        return web.Response(text=text, status=fault.status, headers=fault.headers, content_type="application/json")
    return RefusedError(fault.status, "Fault", "made by the test").answer(fault.headers)


async def _send(response: web.StreamResponse, event: Document) -> None:
    await response.write(json.dumps(event).encode() + b"\n")


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - an assertion that answers 409
    if not holds:
        raise RefusedError(409, "Conflict", message)


def _matches(document: Document, request: web.Request) -> bool:
    pairs = [part.split("=", 1) for part in request.query.get("labelSelector", "").split(",") if part]
    labels = document["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in pairs)


def _resource(kind: Kind) -> Document:
    namespaced = kind.name not in ("Namespace", "CustomResourceDefinition")
    verbs = [*kind.verbs, "list", "watch", "patch"]
    singular = kind.name.lower()
    return {"name": kind.plural, "singularName": singular, "kind": kind.name, "namespaced": namespaced, "verbs": verbs}


def _leaves(document: Document, prefix: Path = ()) -> Iterator[Path]:
    for key, value in document.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*prefix, key))
        else:
            yield (*prefix, key)


def _merged(base: Document, change: Document) -> Document:
    result = deepcopy(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = deepcopy(value)
    return result


def _remove(document: Document, path: Path) -> None:
    *parents, last = path
    for key in parents:
        document = document.get(key, {})
    document.pop(last, None)


Until = Callable[[], object]


async def until(condition: Until, what: str, seconds: float = 10.0) -> Any:
    """Wait until the condition is true and return its value; fails after `seconds`."""
    end = asyncio.get_running_loop().time() + seconds
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)
    return value
