"""Portkey's gateway on Node; with what it has: its own checks by regular expression on prompts and answers."""

from __future__ import annotations

import json

from bench.gateway.contenders import EVERYTHING, NOTHING, Contender, Made, Place
from bench.gateway.install import LOCKS, node_packages
from bench.gateway.processes import Program, free_ports

RULES = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"\+?\d[\d ().-]{7,}\d",
    r"\b(?:\d[ -]?){13,19}\b",
    r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b",
    r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
    r"\bAKIA[0-9A-Z]{16}\b",
    r"(?:project)\s+x",
)
"""E-mail, phone, card, IBAN, IP address, a provider's key, an author's pattern: this project's kinds."""


def make(place: Place) -> Made:
    """Both configurations: they come with each request, in a header."""
    packages = node_packages("portkey")
    lock = json.loads((LOCKS / "portkey" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    names = ("@portkey-ai/gateway", "@hono/node-server")
    versions = {name: lock[f"node_modules/{name}"]["version"] for name in names}
    script = str(packages / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js")
    return Made(tuple(_contender(place, script, features) for features in (NOTHING, EVERYTHING)), versions)


def configuration(upstream: str, features: str) -> str:
    """The value of the header `x-portkey-config`."""
    chosen: dict[str, object] = {"provider": "openai", "api_key": "none", "custom_host": f"{upstream}/v1"}
    if features == EVERYTHING:
        checks = [{"default.regexReplace": {"rule": rule, "redactText": "[REDACTED]"}} for rule in RULES]
        chosen |= {"input_guardrails": checks, "output_guardrails": checks}
    return json.dumps(chosen)


def _contender(place: Place, script: str, features: str) -> Contender:
    name = f"portkey-{features.split(maxsplit=1)[0]}"
    (port,) = free_ports(1)
    command = ["node", script, f"--port={port}", "--headless"]
    return Contender(
        name=name,
        title="Portkey gateway",
        url=f"http://127.0.0.1:{port}/v1",
        features=features,
        programs=(Program(name, command, {"NODE_ENV": "production"}, place.directory),),
        ready=f"http://127.0.0.1:{port}/",
        headers=(f"x-portkey-config={configuration(place.upstream, features)}",),
        note="7 regular expressions each way; not applied to streamed answers; no cache"
        if features == EVERYTHING
        else "",
    )
