"""Measure gateways side by side: `python -m bench.gateway [--quick] [--only NAME...]`, `make bench-gateway ARGS=…`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import report
from bench.gateway import install, rounds, summary, table
from bench.gateway.contenders import Contender, Family, Place, crabllm, direct, litellm, nginx, ours, portkey
from bench.gateway.measure import Bench, upstream
from bench.gateway.plan import IDLE, LOADS
from bench.gateway.processes import StartError, cores

FAMILIES: dict[str, Family] = {
    "direct": direct.make,
    "nginx": nginx.make,
    "ours": ours.make,
    "crabllm": crabllm.make,
    "portkey": portkey.make,
    "litellm": litellm.make,
}
FULL_SECONDS, QUICK_SECONDS = 2.25, 1.0
RAW = report.RESULTS / "gateway"


@dataclass(frozen=True)
class Entry:
    """Who takes part, in which versions, and who does not."""

    contenders: list[Contender]
    versions: dict[str, str]
    missing: dict[str, str]


def main() -> int:
    """Run what was asked for; the exit status tells whether it could be measured, not how it went."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an end in order: everything that runs is stopped
    try:
        if options.lock:
            install.lock()
            return 0
        if options.tables:
            table.write(json.loads((report.RESULTS / "gateway.json").read_text(encoding="utf-8")))
            return 0
        if options.profile:
            from bench.gateway import profile

            return profile.main(options.profile, options.seconds or QUICK_SECONDS * 8)
        return _measure(options)
    except (StartError, install.InstallError) as error:
        print(f"bench-gateway: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.gateway", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=[*FAMILIES], help="families to measure; direct is always among them"
    )
    parser.add_argument("--rounds", type=int, help="how often all is measured (default 3, quick 1)")
    parser.add_argument("--seconds", type=float, help="the longest load's time (default 2.25, quick 1)")
    parser.add_argument("--quick", action="store_true", help="a short look for development; writes no results")
    parser.add_argument("--profile", choices=("pods", "serve"), help="show where this project's time goes, instead")
    parser.add_argument("--tables", action="store_true", help="write the documentation's tables anew, instead")
    parser.add_argument("--lock", action="store_true", help="write the lock files anew, instead")
    return parser


def _measure(options: argparse.Namespace) -> int:
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:7.1f}s  {text}", flush=True)

    count = options.rounds or (1 if options.quick else 3)
    seconds = options.seconds or (QUICK_SECONDS if options.quick else FULL_SECONDS)
    at = cores(sorted(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as directory:
        logs = Path(directory)
        with upstream(install.load_program(), at, logs) as bench:
            entry = enter(options.only or list(FAMILIES), Place(bench.upstream, logs), say)
            document = _run(bench, entry, logs, (count, seconds), say)
    print(f"\n{table.tables(document)}\n")
    if not options.quick:
        _write(document)
    say("done")
    return 0


def enter(names: Sequence[str], place: Place, say: Callable[[str], None]) -> Entry:
    """Install the families; one that cannot be is said and left out."""
    entry = Entry([], {}, {})
    for name in dict.fromkeys(["direct", *names]):
        try:
            made = FAMILIES[name](place)
        except install.InstallError as error:
            entry.missing[name] = str(error)
            say(f"{name} takes no part: {error}")
            continue
        entry.contenders.extend(made.contenders)
        entry.versions.update(made.versions)
    return entry


def _run(bench: Bench, entry: Entry, logs: Path, size: tuple[int, float], say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everybody; returns the document of results, its raw part under `measurements`."""
    results = rounds.Results(missing=entry.missing)
    with rounds.entered(bench, entry.contenders, logs, results, say) as running:
        rounds.run(bench, running, *size, results, say)
    triton = _triton(bench, logs, size, results, say) if _is_measured("pods-nothing", entry) else {}
    found = summary.figures(entry.contenders, results.measurements, results.memory)
    setting = {"rounds": size[0], "longest_load_seconds": size[1], "cores": vars(bench.cores)}
    setting["foreign_share"] = summary.foreign_share(results.measurements)
    loads = {load.name: _load(load) for load in (IDLE, *LOADS)}
    figures = {"setting": setting | {"loads": loads}, "versions": entry.versions, "missing": results.missing}
    figures |= {"contenders": found, "triton": triton}
    document = report.document("gateway", figures, summary.goals(found))
    return document | {"measurements": results.measurements}


def _is_measured(name: str, entry: Entry) -> bool:
    return any(one.name == name for one in entry.contenders)


def _triton(
    bench: Bench, directory: Path, size: tuple[int, float], results: rounds.Results, say: Callable[[str], None]
) -> dict[str, Any]:
    """The real Triton as the upstream; nothing where it cannot run."""
    from bench.gateway.triton import measure
    from tests.support.triton import TritonEndedError, TritonUnavailableError

    try:
        return measure(bench, Place(bench.upstream, directory), size, say)
    except (StartError, TritonEndedError, TritonUnavailableError) as error:
        results.missing["Triton as the upstream"] = str(error).splitlines()[0]
        say(f"Triton takes no part: {error}")
        return {}


def _load(load: Any) -> dict[str, Any]:
    return {name: vars(value) if name == "answers" else value for name, value in vars(load).items() if name != "name"}


def _write(document: dict[str, Any]) -> None:
    """The results, the raw measurements one a line, the plot and the documentation's tables."""
    RAW.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(one) for one in document.pop("measurements"))
    (RAW / "measurements.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    report.save(document)
    table.write(document)
    python = install.python_environment("tools") / "python"
    here = Path(__file__).parent
    install.run([str(python), str(here / "plot.py"), str(report.RESULTS / "gateway.json"), str(RAW / "plot.svg")], here)


if __name__ == "__main__":
    raise SystemExit(main())
