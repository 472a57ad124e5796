"""This project: as in a pod (guard and cache, a Unix socket between them), and as `serve` (one process)."""

from __future__ import annotations

import sys
from importlib import metadata

from bench.gateway.contenders import EVERYTHING, NOTHING, Contender, Made, Place
from bench.gateway.everything import everything_on, left_out, nothing_on
from bench.gateway.processes import Program, free_ports
from llmops_sidecars.contract import Contract, Engine, OpenAIEngine, encode

MODEL = "bench"
PACKAGES = ("aiohttp", "google-re2", "httptools", "msgspec", "uvicorn", "uvloop")


def make(place: Place) -> Made:
    """Both forms with both contracts."""
    engine = OpenAIEngine(f"{place.upstream}/v1", MODEL)
    made = [
        form(place, contract(engine), features)
        for form in (pods, serve)
        for features, contract in ((NOTHING, nothing_on), (EVERYTHING, everything_on))
    ]
    return Made(tuple(made), {name: metadata.version(name) for name in PACKAGES})


def pods(place: Place, contract: Contract, features: str, name: str = "pods") -> Contender:
    """Two processes, as the containers of a pod run them."""
    title = "this project, guard and cache"
    socket = place.directory / f"{_short(name, features)}.sock"
    port, admin = free_ports(2)
    cache = _program("cache", name, place, contract, features, ["--socket", str(socket)])
    listen = ["--socket", str(socket), "--host", "127.0.0.1", "--port", str(port), "--admin-port", str(admin)]
    guard = _program("guard", name, place, contract, features, listen)
    return _contender(name, title, features, (cache, guard), (port, admin))


def serve(place: Place, contract: Contract, features: str, name: str = "serve") -> Contender:
    """One process."""
    port, admin = free_ports(2)
    listen = ["--host", "127.0.0.1", "--port", str(port), "--admin-port", str(admin)]
    program = _program("serve", name, place, contract, features, listen)
    return _contender(name, "this project, one process", features, (program,), (port, admin))


def engine_contract(engine: Engine, features: str) -> Contract:
    """The contract with nothing or with everything on."""
    return everything_on(engine) if features == EVERYTHING else nothing_on(engine)


def _contender(
    name: str, title: str, features: str, programs: tuple[Program, ...], ports: tuple[int, int]
) -> Contender:
    rest = left_out() if features == EVERYTHING else {}
    note = "; ".join(f"without {rule}: {reason}" for rule, reason in rest.items())
    return Contender(
        name=_short(name, features),
        title=title,
        url=f"http://127.0.0.1:{ports[0]}/v1",
        features=features,
        programs=programs,
        ready=f"http://127.0.0.1:{ports[1]}/readyz",
        note=note,
    )


def _program(command: str, form: str, place: Place, contract: Contract, features: str, arguments: list[str]) -> Program:
    """Records of requests are written when everything is on: they are a part of it."""
    file = place.directory / f"{_short(form, features)}-{command}.json"
    file.write_bytes(encode(contract))
    return Program(
        name=f"{_short(form, features)}-{command}",
        command=[sys.executable, "-m", "llmops_sidecars", command, "--contract", str(file), *arguments],
        variables={"LLMOPS_LOG_LEVEL": "info" if features == EVERYTHING else "error"},
    )


def _short(form: str, features: str) -> str:
    return f"{form}-{features.split(maxsplit=1)[0]}"
