"""How long the rules take, of one core."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.gateway.everything import ARGUMENTS, LEFT_OUT, PROMPTS_ALONE, kinds, name
from bench.judgement.injection_set import Set
from bench.judgement.rates import percentile
from llmops_sidecars.contract import Policy
from llmops_sidecars.guard.policy import compile_policy
from llmops_sidecars.guard.rules.injection.judge import spans
from llmops_sidecars.guard.rules.injection.model import model
from llmops_sidecars.guard.rules.injection.tokens import tokens_of
from llmops_sidecars.guard.verdict import examine

TOKENS_CHARACTERS = 2048
"""Of 512 tokens of English prose, four a token."""

KILOBYTE = 1024
LONG_CHARACTERS = 16384
REPEATS = 60

FOOTPRINT = """
import importlib, pathlib
def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1024 ** 2
import llmops_sidecars.guard.policy
before = resident()
from llmops_sidecars.guard.rules.injection.judge import spans
spans("Hello there, this is the first text.")
print(resident() - before)
"""


def measure() -> dict[str, Any]:
    """Milliseconds of injection for 512 tokens and of the other rules for 16 KB, and memory."""
    made = Set()
    short = [made.prose("en", TOKENS_CHARACTERS)[:TOKENS_CHARACTERS] for _ in range(400)]
    prose = [made.prose("en", LONG_CHARACTERS)[:LONG_CHARACTERS] for _ in range(REPEATS)]
    chance = random.Random(5)
    records = [_records(chance)[:LONG_CHARACTERS] for _ in range(REPEATS)]
    kilobytes = [made.prose("en", KILOBYTE)[:KILOBYTE] for _ in range(400)]
    return {
        "injection, first look, 1 KB": _spread(first_look, kilobytes),
        "injection, first look, 16 KB": _spread(first_look, prose),
        "injection, 1 KB": _spread(spans, kilobytes),
        "injection, 512 tokens": _spread(spans, short),
        "injection, 16 KB": _spread(spans, prose),
        "injection, MiB of memory once loaded": round(_footprint(), 1),
        "rules, 16 KB of prose": _stage(prose),
        "rules, 16 KB of records": _stage(records),
    }


def first_look(text: str) -> object:
    """What every text goes through, and most texts alone."""
    net = model().net
    return net.windows(tokens_of(text, net.index).rows)


def _stage(texts: Sequence[str]) -> dict[str, Any]:
    """All rules together, and each alone."""
    chosen = [kind for kind in kinds() if name(kind) not in {*LEFT_OUT, *PROMPTS_ALONE}]
    rules = {name(kind): kind(**ARGUMENTS.get(kind, {})) for kind in chosen}
    each = {one: _rules((rule,), texts) for one, rule in rules.items()}
    return {"all": _rules(tuple(rules.values()), texts), **each}


def _rules(rules: tuple[Any, ...], texts: Sequence[str]) -> dict[str, float]:
    made = compile_policy(Policy(input=rules)).input
    return _spread(lambda text: examine(text, made), texts)


def _spread(work: Callable[[str], object], texts: Sequence[str]) -> dict[str, float]:
    """Milliseconds of processor time, without the first texts, which load what is loaded once."""
    for text in texts[:5]:
        work(text)
    taken = []
    for text in texts:
        start = time.thread_time_ns()
        work(text)
        taken.append((time.thread_time_ns() - start) / 1e6)
    return {"p50_ms": round(percentile(taken, 0.5), 3), "p99_ms": round(percentile(taken, 0.99), 3)}


def _records(chance: random.Random) -> str:
    """Lines as of a log or an export: numbers, times, hashes, paths; nothing of it is personal."""
    lines = [
        f"2031-04-{chance.randint(10, 28)}T{chance.randint(10, 23)}:{chance.randint(10, 59)}:07Z level=info "
        f"path=/api/v1/items/{chance.randint(10_000, 99_999)} took={chance.randint(1, 900)}ms "
        f"commit={chance.getrandbits(160):040x} count={chance.randint(1, 9999)}"
        for _ in range(LONG_CHARACTERS // 100)
    ]
    return "\n".join(lines)


def _footprint() -> float:
    done = subprocess.run([sys.executable, "-c", FOOTPRINT], capture_output=True, text=True, check=True, timeout=60)
    return float(done.stdout)
