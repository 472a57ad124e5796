"""CrabLLM, a gateway in Rust (hyper, sonic-rs): the fastest that a package registry carries and that builds here.

Bifrost's Go modules are not on the module proxy, and its npm launcher fetches a program from elsewhere; so does
TensorZero's and agentgateway's distribution, whose crates are placeholders or missing.
"""

from __future__ import annotations

from bench.gateway.contenders import EVERYTHING, NOTHING, Contender, Made, Place, write
from bench.gateway.install import crate
from bench.gateway.processes import Program, free_ports

VERSION = "0.0.25"

CONFIGURATION = """
listen = "127.0.0.1:{port}"
[providers.bench]
kind = "openai"
api_key = "none"
base_url = "{upstream}/v1"
models = ["bench"]
"""

FEATURES = """
[extensions.cache]
ttl_seconds = 3600
[extensions.usage]
"""


def make(place: Place) -> Made:
    """Both configurations; the one with everything has no rules, as it knows none."""
    program = str(crate("crabllm", VERSION))
    return Made(tuple(_contender(place, program, features) for features in (NOTHING, EVERYTHING)), {"crabllm": VERSION})


def _contender(place: Place, program: str, features: str) -> Contender:
    name = f"crabllm-{features.split(maxsplit=1)[0]}"
    (port,) = free_ports(1)
    text = CONFIGURATION.format(port=port, upstream=place.upstream) + (FEATURES if features == EVERYTHING else "")
    command = [program, "serve", "--config", str(write(place, f"{name}.toml", text))]
    return Contender(
        name=name,
        title="CrabLLM (Rust)",
        url=f"http://127.0.0.1:{port}/v1",
        features=features,
        programs=(Program(name, command, {"RUST_LOG": "error"}),),
        ready=f"http://127.0.0.1:{port}/v1/models",
        note="cache and usage extensions; it has no content rules" if features == EVERYTHING else "",
    )
