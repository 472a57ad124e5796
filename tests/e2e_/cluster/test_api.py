from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2e.cluster import api, nodes, pki
from e2e.cluster.api import Api
from e2e.cluster.errors import ClusterError
from e2e.cluster.processes import wait_until


@dataclass
class ApiServer:
    """What the API server's end of the wire sees and answers: bodies by path, statuses by path."""

    objects: dict[str, object] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str, str, object]] = field(default_factory=list)
    kubeconfig: Path = Path()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pki") / "pki"
    pki.make(made, "node-1")
    return made


@pytest.fixture
def server(directory: Path, tmp_path: Path) -> Iterator[ApiServer]:
    state = ApiServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            path, _, query = self.path.partition("?")
            length = int(self.headers.get("Content-Length", 0))
            sent = json.loads(self.rfile.read(length)) if length else None
            state.requests.append((self.command, self.path, self.headers.get("Content-Type", ""), sent))
            status = state.statuses.get(path, 200 if query or path in state.objects else 404)
            body = json.dumps(state.objects.get(path, {"message": f"status {status}"})).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PATCH = do_DELETE = handle_one  # noqa: N815  # http.server's names

        def log_message(self, *_: object) -> None:
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "apiserver.crt", directory / "apiserver.key")
    context.load_verify_locations(directory / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    serving = threading.Thread(target=listener.serve_forever, args=(0.01,))
    serving.start()
    state.kubeconfig = tmp_path / "admin.kubeconfig"
    state.kubeconfig.write_text(pki.kubeconfig(directory, "admin", listener.server_address[1]))
    yield state
    listener.shutdown()
    serving.join()
    listener.server_close()


@pytest.fixture
def client(server: ApiServer) -> Api:
    return api.connect(server.kubeconfig)


def test_the_kubeconfigs_certificates_open_a_connection(server: ApiServer, client: Api) -> None:
    server.objects["/version"] = {"minor": "37"}
    assert client.get("/version") == {"minor": "37"}
    assert client.get("/nothing") is None


def test_no_server_is_no_answer(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(pki.kubeconfig(directory, "admin", 1))
    assert api.connect(path).text("/readyz") is None


def test_an_unready_server_is_no_answer(server: ApiServer, client: Api) -> None:
    server.statuses["/readyz"] = 500
    assert client.text("/readyz") is None


def test_a_document_is_applied_by_the_server_as_one_manager(server: ApiServer, client: Api) -> None:
    client.apply("/api/v1/nodes/a", {"kind": "Node"})
    expected = (
        "PATCH",
        "/api/v1/nodes/a?fieldManager=e2e-cluster&force=true",
        "application/apply-patch+yaml",
        {"kind": "Node"},
    )
    assert server.requests == [expected]


def test_a_refusal_has_the_servers_message(server: ApiServer, client: Api) -> None:
    server.statuses["/x"] = 422
    server.objects["/x"] = {"message": "spec.taints: Required value"}
    with pytest.raises(ClusterError, match=r"the API server refuses /x.*: spec.taints: Required value"):
        client.apply("/x", {})


def test_deleting_what_is_gone_is_fine_and_being_refused_is_not(server: ApiServer, client: Api) -> None:
    client.delete("/gone")
    server.statuses["/kept"] = 403
    with pytest.raises(ClusterError, match="status 403"):
        client.delete("/kept")


def test_fake_nodes_are_applied_and_then_their_capacity(server: ApiServer, client: Api) -> None:
    nodes.apply(client)
    paths = [path.partition("?")[0].removeprefix(nodes.NODES) for _, path, _, _ in server.requests]
    names = [node.name for node in nodes.fake_nodes()]
    assert paths == [f"/{name}{part}" for name in names for part in ("", "/status")]
    status = server.requests[1][3]
    assert isinstance(status, dict)
    assert status["status"]["allocatable"]["nvidia.com/gpu"] == "8"


@pytest.mark.parametrize(
    ("real", "not_ready", "ready"),
    [(1, None, True), (0, None, False), (1, 0, False), (1, 7, False)],
    ids=["all ready", "the real one is missing", "a fake one is not ready", "the real one is not ready"],
)
def test_the_nodes_are_ready_when_all_are_there_and_ready(
    server: ApiServer, client: Api, real: int, not_ready: int | None, *, ready: bool
) -> None:
    count = len(list(nodes.fake_nodes())) + real
    states = ["False" if index == not_ready else "True" for index in range(count)]
    server.objects[nodes.NODES] = {
        "items": [{"status": {"conditions": [{"type": "Ready", "status": state}]}} for state in states]
    }
    assert nodes.ready(client) is ready


def test_a_server_that_is_not_up_yet_is_waited_for(server: ApiServer, client: Api) -> None:
    server.statuses["/readyz"] = 500
    waiting = threading.Timer(0.2, server.objects.__setitem__, ("/readyz", "ok"))
    waiting.start()
    threading.Timer(0.2, server.statuses.clear).start()
    assert wait_until(10, lambda: client.text("/readyz") is not None)
