"""The command of the sidecar image: guard | cache | serve | drain | purge | fetch | check | render."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmops_sidecars.contract import Contract
    from llmops_sidecars.engine.app import EngineApp
    from llmops_sidecars.guard.app import GuardApp
    from llmops_sidecars.proxy.contract_file import ContractFile
    from llmops_sidecars.proxy.downstream import Downstream
    from llmops_sidecars.proxy.tls import Tls

CONTRACT = Path("/etc/llmops/contract.json")
SOCKET = Path("/run/llmops/cache.sock")
PORT = 8080
ADMIN_PORT = 9090
PURGED_BY = {
    "tenant": "answers to this tenant",
    "revision": "answers of this revision",
    "policy": "answers under this GuardPolicy",
    "template": "answers to this PromptTemplate",
    "key": "the answer that came with this x-llmops-cache-key",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["fetch"]:
        from llmops_sidecars import fetch

        return fetch.main(given[1:])
    parser = _parser()
    options = parser.parse_args(given)
    if getattr(options, "client_ca", None) is not None and options.tls is None:
        parser.error("--client-ca needs --tls")
    if options.command == "drain":
        return _drain(options.admin_port)
    if options.command == "purge":
        return _purge(options)
    if options.command == "check":
        return _check(options)
    if options.command == "render":
        return _render(options)
    from llmops_sidecars.proxy import processors

    processors.calm_libraries()
    from llmops_sidecars.proxy import logs, server

    logs.configure(os.environ.get("LLMOPS_LOG_LEVEL", "info"))
    commands: dict[str, Callable[[argparse.Namespace], Awaitable[None]]] = {
        "guard": _guard,
        "cache": _cache,
        "serve": _serve,
    }
    server.run(lambda: commands[options.command](options))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmops-sidecar", description="The data plane of a serving pod.")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="guard | cache | serve | drain | purge | fetch | check | render"
    )
    for name, does in (
        ("guard", "check prompts and answers, in front of a cache behind a Unix socket"),
        ("cache", "remember answers, and speak to the engine, behind a Unix socket"),
        ("serve", "guard, cache and engine driver in one process"),
    ):
        command = commands.add_parser(name, help=does, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        command.add_argument("--contract", type=Path, default=CONTRACT, help="the configuration, watched for changes")
        if name != "serve":
            command.add_argument("--socket", type=Path, default=SOCKET, help="where the cache listens")
        if name != "cache":
            command.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - a pod's
            command.add_argument("--port", type=int, default=PORT, help="port for clients")
            command.add_argument("--admin-port", type=int, default=ADMIN_PORT, help="port for health and metrics")
            command.add_argument("--tls", type=Path, help="directory of tls.crt and tls.key: clients are served by TLS")
            command.add_argument("--client-ca", type=Path, help="directory of ca.crt: clients must show a certificate")
    drain = commands.add_parser("drain", help="have the guard of this pod begin to leave")
    drain.add_argument("--admin-port", type=int, default=ADMIN_PORT, help="the guard's port for health and metrics")
    purge = commands.add_parser("purge", help="have this pod, and those that share a store with it, forget answers")
    purge.add_argument("--admin-port", type=int, default=ADMIN_PORT, help="the guard's port for health and metrics")
    for name, what in PURGED_BY.items():
        purge.add_argument(f"--{name}", help=f"only {what}")
    purge.add_argument("--all", action="store_true", help="everything")
    check = commands.add_parser("check", help="show what a policy does to texts, a line each")
    check.add_argument("--contract", type=Path, default=CONTRACT, help="the configuration that holds the policy")
    check.add_argument("--direction", choices=("input", "output"), default="input", help="prompts or answers")
    check.add_argument("--output", choices=("table", "json"), default="table", help="for people or for programs")
    check.add_argument("texts", type=Path, help="a file with a text a line; - is standard input")
    render = commands.add_parser("render", help="show what the only template of a configuration comes to")
    render.add_argument("--contract", type=Path, default=CONTRACT, help="the configuration that holds the template")
    render.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable's value")
    render.add_argument("--output", choices=("text", "json"), default="text", help="for people or for programs")
    commands.add_parser("fetch", help="fetch a model from a hub; see `fetch --help`", add_help=False)
    return parser


async def _guard(options: argparse.Namespace) -> None:
    from llmops_sidecars.proxy.client import SocketDownstream

    await _front(options, SocketDownstream(str(options.socket)))


async def _cache(options: argparse.Namespace) -> None:
    from llmops_sidecars.cache.app import CacheApp
    from llmops_sidecars.proxy import server
    from llmops_sidecars.proxy.inprocess import AppDownstream

    engine, contract = _engine(options.contract)
    app = CacheApp(AppDownstream(engine), contract)
    try:
        await server.serve([server.listener(app, socket=options.socket)], _together(contract.run(), app.run()))
    finally:
        await engine.close()


async def _serve(options: argparse.Namespace) -> None:
    from llmops_sidecars.cache.app import CacheApp
    from llmops_sidecars.proxy.inprocess import AppDownstream

    engine, contract = _engine(options.contract)
    app = CacheApp(AppDownstream(engine), contract)
    watching = asyncio.create_task(_together(contract.run(), app.run()), name="contract of cache and engine")
    try:
        await _front(options, AppDownstream(app))
    finally:
        watching.cancel()
        await engine.close()


async def _together(*works: Awaitable[None]) -> None:
    """Do both until either fails, or this is cancelled."""
    await asyncio.gather(*works)


async def _front(options: argparse.Namespace, downstream: Downstream) -> None:
    """The guard's two listeners in front of a cache."""
    from llmops_sidecars.contract import files
    from llmops_sidecars.guard.app import GuardApp
    from llmops_sidecars.guard.serving import build
    from llmops_sidecars.proxy import server
    from llmops_sidecars.proxy.contract_file import ContractFile

    tls = _tls(options)
    made = partial(build, client_certificates=options.client_ca is not None)
    contract = ContractFile(options.contract, made, beside=files)
    contract.check()
    app: GuardApp = GuardApp(contract, downstream, tls=tls)
    listeners = [
        server.listener(
            app,
            host=options.host,
            port=options.port,
            tls=None if tls is None else tls.context,
            refused=app.refused_connection,
        ),
        server.listener(app.admin, host=options.host, port=options.admin_port),
    ]
    try:
        await server.serve(listeners, app.run(), app.admin.start_drain)
    finally:
        await downstream.close()


def _tls(options: argparse.Namespace) -> Tls | None:
    """What clients are served with, if it is TLS."""
    if options.tls is None:
        return None
    from llmops_sidecars.proxy.tls import Tls

    tls = Tls(options.tls, options.client_ca)
    tls.check()
    return tls


def _engine(path: Path) -> tuple[EngineApp, ContractFile[Contract]]:
    """The engine's application, configured by the contract in the file, now and when it changes."""
    from llmops_sidecars.engine.app import EngineApp
    from llmops_sidecars.proxy.contract_file import ContractFile
    from llmops_sidecars.proxy.metrics import new_registry

    engine = EngineApp(new_registry("llmops_cache"))

    def configured(contract: Contract) -> Contract:
        engine.configure(contract)
        return contract

    file = ContractFile(path, configured)
    file.check()
    return engine, file


def _check(options: argparse.Namespace) -> int:
    """Try the policy; where only a part of the package's libraries is installed, say which one is missing."""
    try:
        from llmops_sidecars.guard import trial
    except ModuleNotFoundError as error:
        print(f"llmops-sidecar: check needs {error.name}: pip install 'llmops-operator[sidecar]'", file=sys.stderr)
        return 2
    outcome = trial.run(options.contract, options.texts, options.direction, options.output)
    if outcome.text:
        print(outcome.text)
    for note in outcome.notes:
        print(f"llmops-sidecar: {note}", file=sys.stderr)
    return outcome.status


def _render(options: argparse.Namespace) -> int:
    """Render the template; where only a part of the package's libraries is installed, say which one is missing."""
    try:
        from llmops_sidecars.contract import Policy
        from llmops_sidecars.guard.neutralising import Neutraliser, neutralised_by
        from llmops_sidecars.prompts import trial
    except ModuleNotFoundError as error:
        print(f"llmops-sidecar: render needs {error.name}: pip install 'llmops-operator[sidecar]'", file=sys.stderr)
        return 2
    find = neutralised_by(Policy())
    assert find is not None, "a policy without rules refuses nothing"  # noqa: S101 - for mypy
    outcome = trial.run(options.contract, options.set, options.output, Neutraliser(find))
    if outcome.status:
        print(outcome.error, file=sys.stderr)
    else:
        print(outcome.text)
    return outcome.status


def _drain(port: int) -> int:
    """Ask the guard of this pod to leave; fast to start, as hooks have no time."""
    try:
        status, _ = _post(port, "/drain")
    except OSError as error:
        print(f"drain: the guard does not answer on port {port}: {error}", file=sys.stderr)
        return 1
    return 0 if status == http.client.OK else 1


def _purge(options: argparse.Namespace) -> int:
    """Ask the guard of this pod for it; says what came of it."""
    named = {name: value for name in PURGED_BY if (value := getattr(options, name)) is not None}
    try:
        status, answer = _post(options.admin_port, "/purge", json.dumps(named | {"all": options.all}).encode())
    except OSError as error:
        print(f"purge: the guard does not answer on port {options.admin_port}: {error}", file=sys.stderr)
        return 1
    found = json.loads(answer)
    if status != http.client.OK:
        print(f"purge: {found['error']['message']}", file=sys.stderr)
        return 1
    others = {True: "other pods within a second", False: "the shared store cannot be told yet", None: "this pod alone"}
    print(f"purged: {found['removed']} answers here; {others[found['shared']]}")
    return 1 if found["shared"] is False else 0


def _post(port: int, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Ask this pod's administration port; raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


if __name__ == "__main__":
    raise SystemExit(main())
