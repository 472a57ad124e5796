"""A thin client of the API server: documents in and out, three classes of errors, and no write without authority."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import aiohttp

from llmops_operator import names
from llmops_operator.cluster import errors
from llmops_operator.cluster.connection import Connection, open_session
from llmops_operator.cluster.kinds import Document, Kind, of

REQUEST_SECONDS = 10.0
PAGE_SIZE = 500
LIST_ATTEMPTS = 3

_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/merge-patch+json"
_JSON = "application/json"

Documents = list[Document]

Authority = Callable[[], float]
"""For how many more seconds writes are allowed; 0 or less is not at all."""


def always() -> float:
    """The authority of one who needs none: the lease's own writes."""
    return REQUEST_SECONDS


class NoAuthorityError(errors.TransientError):
    """A write was stopped because this process does not, or will soon not, hold the lease."""


class Client:
    """Speaks to one API server; close it after use. Writes are refused, and cut off, when `authority` ends."""

    def __init__(
        self,
        connection: Connection,
        authority: Authority = always,
        written: Callable[[str, str], None] | None = None,
        seconds: float = REQUEST_SECONDS,
    ) -> None:
        """`written` is told kind and verb of every write that the server took; `seconds` bounds each request."""
        self._server = connection.server
        self._session = open_session(connection)
        self._authority = authority
        self._written = written or (lambda _kind, _verb: None)
        self._seconds = seconds

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def served(self, group: str, version: str) -> frozenset[str]:
        """The plural names of the kinds that the server has in an API version; empty when it has no such version."""
        try:
            document = await self._send("GET", f"/apis/{group}/{version}")
        except errors.NotFoundError:
            return frozenset()
        return frozenset(resource["name"] for resource in document.get("resources", []))

    async def get(self, kind: Kind, namespace: str, name: str) -> Document:
        """One object; raises NotFoundError."""
        return await self._send("GET", kind.path(namespace, name))

    async def list(self, kind: Kind, namespace: str | None = None, labels: str = "") -> Documents:
        """All objects of a kind in one namespace or in all; starts again when a page has become too old."""
        for _ in range(LIST_ATTEMPTS - 1):
            try:
                return await self._list(kind, namespace, labels)
            except errors.TransientError as error:
                if error.status != HTTPStatus.GONE:
                    raise
        return await self._list(kind, namespace, labels)

    async def apply(self, document: Document) -> Document:
        """Server-side apply as the manager of children; fields of other managers stay, conflicts become ours."""
        kind, metadata = of(document), document["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._write(kind, "apply", path, document, names.CHILD_MANAGER)

    async def apply_status(self, document: Document) -> Document:
        """Server-side apply of the status as the manager of statuses."""
        kind, metadata = of(document), document["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"], "status")
        return await self._write(kind, "apply_status", path, document, names.STATUS_MANAGER)

    async def patch(self, kind: Kind, namespace: str, name: str, change: Document) -> Document:
        """Merge patch; with `metadata.resourceVersion` or `uid` in it a precondition, answered by 409."""
        return await self._write(kind, "patch", kind.path(namespace, name), change, names.CHILD_MANAGER)

    async def create(self, document: Document) -> Document:
        """Create an object; raises TransientError with status 409 when it is there."""
        kind = of(document)
        path = kind.path(document["metadata"]["namespace"])
        return await self._write(kind, "create", path, document, names.CHILD_MANAGER)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete exactly the object of that uid, its dependents in the background; one that is gone is fine."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._write(kind, "delete", kind.path(namespace, name), options, None)
        except errors.NotFoundError:
            return

    async def _list(self, kind: Kind, namespace: str | None, labels: str) -> Documents:
        items: Documents = []
        query = {"limit": str(PAGE_SIZE)} | ({"labelSelector": labels} if labels else {})
        while True:
            page = await self._send("GET", kind.path(namespace), query)
            items += [{"apiVersion": kind.api_version, "kind": kind.name} | item for item in page["items"]]
            token = page["metadata"].get("continue")
            if not token:
                return items
            query["continue"] = token

    async def _write(self, kind: Kind, verb: str, path: str, body: Document, manager: str | None) -> Document:
        method, form, force = _FORMS[verb]
        query = ({"fieldManager": manager} if manager else {}) | ({"force": "true"} if force else {})
        allowed = self._authority()
        if allowed <= 0:
            raise NoAuthorityError(f"{method} {path}", "not sent: another process may lead")
        seconds = min(allowed, self._seconds)
        answer = await self._send(method, path, query, body, form, seconds)
        self._written(kind.name, verb)
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Document | None = None,
        form: str = _JSON,
        seconds: float | None = None,
    ) -> Document:
        request = f"{method} {path}"
        timeout = aiohttp.ClientTimeout(total=seconds or self._seconds)
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Accept": _JSON} | ({"Content-Type": form} if data else {})
        options: Any = {"params": query, "data": data, "headers": headers, "timeout": timeout}
        try:
            async with self._session.request(method, self._server + path, **options) as answer:
                content = await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise errors.no_answer(request, error) from None
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise errors.from_answer(request, answer.status, content, answer.headers.get("Retry-After"))
        return _document(request, content)


_FORMS = {
    "apply": ("PATCH", _APPLY, True),
    "apply_status": ("PATCH", _APPLY, True),
    "patch": ("PATCH", _MERGE, False),
    "create": ("POST", _JSON, False),
    "delete": ("DELETE", _JSON, False),
}


def _document(request: str, content: bytes) -> Document:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise errors.no_answer(request, error) from None
    if not isinstance(document, dict):
        raise errors.TransientError(request, "the answer is not an object")
    return document
