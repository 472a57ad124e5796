"""LiteLLM's proxy, one worker; with what it has: its content filter on prompts and answers, and its memory cache."""

from __future__ import annotations

import re

from bench.gateway.contenders import EVERYTHING, NOTHING, Contender, Made, Place, write
from bench.gateway.install import LOCKS, python_environment
from bench.gateway.processes import Program, free_ports

CONFIGURATION = """
model_list:
- model_name: bench
  litellm_params: {{model: openai/bench, api_base: "{upstream}/v1", api_key: none}}
general_settings: {{dangerously_permit_weak_or_unset_master_key: true}}
litellm_settings:
  telemetry: false
"""

FEATURES = """
  cache: true
  cache_params: {type: local, ttl: 3600}
guardrails:
"""

GUARD = """
- guardrail_name: {mode}
  litellm_params:
    guardrail: litellm_content_filter
    mode: {mode}
    default_on: true
    patterns:
"""

PATTERNS = {
    "MASK": ("email", "us_phone", "credit_card", "iban", "ipv4", "us_ssn"),
    "BLOCK": ("aws_access_key", "github_token", "slack_token"),
}
"""The nearest to this project's rules that its catalogue has."""

VARIABLES = {
    "DO_NOT_TRACK": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
}


def make(place: Place) -> Made:
    """Both configurations."""
    binaries = python_environment("litellm")
    version = re.search(r"^litellm==(\S+)", (LOCKS / "litellm.txt").read_text(encoding="utf-8"), re.MULTILINE)
    program = str(binaries / "litellm")
    made = tuple(_contender(place, program, features) for features in (NOTHING, EVERYTHING))
    return Made(made, {"litellm": version[1] if version else "unknown"})


def configuration(upstream: str, features: str) -> str:
    """The proxy's file."""
    text = CONFIGURATION.format(upstream=upstream)
    if features == NOTHING:
        return text
    return text + FEATURES + "".join(_guard(mode) for mode in ("pre_call", "post_call"))


def _guard(mode: str) -> str:
    lines = [
        f"    - {{pattern_type: prebuilt, pattern_name: {name}, action: {action}}}\n"
        for action, names in PATTERNS.items()
        for name in names
    ]
    return GUARD.lstrip("\n").format(mode=mode) + "".join(lines)


def _contender(place: Place, program: str, features: str) -> Contender:
    name = f"litellm-{features.split(maxsplit=1)[0]}"
    file = write(place, f"{name}.yaml", configuration(place.upstream, features))
    (port,) = free_ports(1)
    command = [program, "--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    url = f"http://127.0.0.1:{port}"
    return Contender(
        name=name,
        title="LiteLLM proxy",
        url=f"{url}/v1",
        features=features,
        programs=(Program(name, command, VARIABLES, place.directory),),
        ready=f"{url}/health/liveliness",
        note="content filter with 9 patterns each way, memory cache" if features == EVERYTHING else "",
    )
