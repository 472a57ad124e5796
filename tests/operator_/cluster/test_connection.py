from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import aiohttp
import certifi
import pytest
import yaml
from kubernetes.aio.config import incluster_config

from llmops_operator.cluster import connection as module
from llmops_operator.cluster.connection import Connection, NoCredentialsError, connect, open_session
from tests.support.apiserver import FakeApi

SERVICE = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}


def kubeconfig(path: Path, server: str, user: dict[str, Any]) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "me", "user": user}],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path)


async def get(connection: Connection, path: str, **options: Any) -> int:
    async with open_session(connection, **options) as session, session.get(connection.server + path) as answer:
        return answer.status


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"username": "a", "password": "b"}, f"Basic {base64.b64encode(b'a:b').decode()}"),
        ({}, None),
    ],
    ids=["token", "password", "nobody"],
)
async def test_a_kubeconfig_is_read(tmp_path: Path, user: dict[str, Any], header: str | None) -> None:
    connection = await connect(kubeconfig(tmp_path / "config", "https://server.example:6443/", user))
    assert connection.server == "https://server.example:6443"
    assert await connection.authorization() == header
    assert connection.tls is not None


@pytest.mark.parametrize("content", ["", "[]", "a: b"], ids=["empty", "list", "no context"])
async def test_a_useless_kubeconfig_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(NoCredentialsError, match=str(path)):
        await connect(str(path))


async def test_no_pod_and_no_kubeconfig() -> None:
    with pytest.raises(NoCredentialsError, match="KUBECONFIG"):
        await connect(None)


async def test_the_session_authorizes_and_tells(api: FakeApi) -> None:
    told: list[tuple[str, int | None]] = []
    connection = api.connection("me")
    assert await get(connection, "/api?limit=1", observer=lambda target, status: told.append((target, status))) == 200
    assert told == [("/api?limit=1", None), ("/api?limit=1", 200)]
    assert api.log[0].who == "me"


async def test_credentials_that_cannot_be_renewed_are_a_connection_error() -> None:
    async def broken() -> str:
        raise OSError("no token")

    with pytest.raises((OSError, aiohttp.ClientError)):
        await get(Connection("http://127.0.0.1:1", broken), "/api")


async def test_a_kubeconfigs_token_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RELOAD_SECONDS", 0)
    token = tmp_path / "token"
    token.write_text("first", encoding="utf-8")
    connection = await connect(kubeconfig(tmp_path / "config", "https://server.example", {"tokenFile": str(token)}))
    assert await connection.authorization() == "Bearer first"
    token.write_text("second", encoding="utf-8")
    assert await connection.authorization() == "Bearer second"


async def test_a_pods_service_account_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("abc", encoding="utf-8")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", certifi.where())
    monkeypatch.setattr(incluster_config.InClusterConfigLoader.__init__, "__defaults__", (True, SERVICE))
    connection = await connect(None)
    assert connection.server == "https://[fd00::1]:443"
    assert await connection.authorization() == "bearer abc"
    token.unlink()
    with pytest.raises(NoCredentialsError, match="token file"):
        await connect(None)
