"""Just enough of a client for the API server, of the standard library: read a path, apply a document."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from e2e.cluster.errors import ClusterError

MANAGER = "e2e-cluster"
TIMEOUT = 10.0

Document = dict[str, Any]


@dataclass(frozen=True)
class Api:
    """The API server as the kubeconfig's user reaches it."""

    host: str
    port: int
    context: ssl.SSLContext

    def text(self, path: str) -> str | None:
        """What GET answers with 200; None for any other answer or none."""
        try:
            status, body = self._send("GET", path)
        except (OSError, http.client.HTTPException):
            return None
        return body if status == HTTPStatus.OK else None

    def get(self, path: str) -> Document | None:
        """The same, of JSON."""
        found = self.text(path)
        return None if found is None else json.loads(found)

    def apply(self, path: str, document: Document) -> None:
        """Server-side apply; raises ClusterError with the server's message."""
        query = f"?fieldManager={MANAGER}&force=true"
        status, body = self._send("PATCH", path + query, document, "application/apply-patch+yaml")
        _check(path, status, body)

    def delete(self, path: str) -> None:
        """Delete an object, which may be gone; raises ClusterError with the server's message."""
        status, body = self._send("DELETE", path)
        if status != HTTPStatus.NOT_FOUND:
            _check(path, status, body)

    def _send(self, method: str, path: str, document: Document | None = None, form: str = "") -> tuple[int, str]:
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT, context=self.context)
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, path, body, {"Content-Type": form} if form else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def connect(kubeconfig: Path) -> Api:
    """A client for one of our own kubeconfigs (JSON); nothing is sent yet."""
    document = json.loads(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    pair = base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"])
    with tempfile.NamedTemporaryFile() as file:  # the standard library reads keys from files only
        file.write(pair)
        file.flush()
        context.load_cert_chain(file.name)
    server = urlsplit(cluster["server"])
    return Api(server.hostname or "127.0.0.1", server.port or 443, context)


def _check(path: str, status: int, body: str) -> None:
    if status >= HTTPStatus.BAD_REQUEST:
        raise ClusterError(f"the API server refuses {path}: {json.loads(body).get('message', body)}")
