"""How the API server is reached: address, trust and credentials, shared by the client and by the watches."""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

Observer = Callable[[str, int | None], None]
"""Told the target (path and query) of every request when it starts (no status) and when its answer's headers arrive."""

RELOAD_SECONDS = 60
"""How often a kubeconfig's credentials are looked at again: plugins hand out tokens that expire."""

_BEARER = "BearerToken"


class NoCredentialsError(Exception):
    """Neither a service account nor a usable kubeconfig was found; the message says what is missing."""


@dataclass(frozen=True)
class Connection:
    """An API server and how to speak to it; `authorization` gives the header's value, renewed when it is due."""

    server: str
    authorization: Callable[[], Awaitable[str | None]]
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    proxy: str | None = None


async def connect(kubeconfig: str | None) -> Connection:
    """Read `kubeconfig`, or without one the pod's service account; raises NoCredentialsError."""
    from kubernetes.aio import config
    from kubernetes.aio.client import Configuration

    library: Any = config  # it has no types
    configuration: Any = Configuration()
    try:
        if kubeconfig:
            options = {"client_configuration": configuration, "persist_config": False}
            loader = await library.load_kube_config(kubeconfig, **options)
            configuration.refresh_api_key_hook = _reload(loader, time.monotonic)
        else:
            library.load_incluster_config(configuration)
    except (config.ConfigException, OSError, TypeError) as error:
        where = f"kubeconfig {kubeconfig}" if kubeconfig else "pod's service account (outside a pod set KUBECONFIG)"
        raise NoCredentialsError(f"no usable credentials in the {where}: {error}") from error
    return _connection(configuration)


def open_session(connection: Connection, observer: Observer | None = None, limit: int = 0) -> aiohttp.ClientSession:
    """An aiohttp session that authorizes every request by itself; `limit` bounds connections, 0 does not."""

    async def prepare(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        authorization = await connection.authorization()
        if authorization:
            request.headers["Authorization"] = authorization
        request.server_hostname = connection.server_name
        if observer is None:
            return await send(request)
        observer(request.url.path_qs, None)
        response = await send(request)
        observer(request.url.path_qs, response.status)
        return response

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit, ssl=True if connection.tls is None else connection.tls),
        headers={"User-Agent": "llmops-operator"},
        middlewares=[prepare],
        proxy=connection.proxy,
    )


def _reload(loader: Any, clock: Callable[[], float]) -> Callable[[Any], Awaitable[None]]:
    due = clock() + RELOAD_SECONDS

    async def reload(configuration: Any) -> None:
        nonlocal due
        if clock() >= due:
            due = clock() + RELOAD_SECONDS
            await loader.load_and_set(configuration)

    return reload


def _connection(configuration: Any) -> Connection:
    from kubernetes.aio.config import ConfigException

    async def authorization() -> str | None:
        try:
            value: str | None = await configuration.get_api_key_with_prefix(_BEARER)
        except ConfigException as error:
            raise OSError(f"the credentials cannot be renewed: {error}") from error
        return value

    return Connection(
        server=configuration.host.rstrip("/"),
        authorization=authorization,
        tls=_tls(configuration) if configuration.host.startswith("https") else None,
        server_name=configuration.tls_server_name,
        proxy=configuration.proxy,
    )


def _tls(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
