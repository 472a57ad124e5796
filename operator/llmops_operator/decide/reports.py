"""What the guards say about the configuration: whether every ready pod runs the wanted one."""

from __future__ import annotations

from dataclasses import dataclass

from llmops_operator.world import Pod, Report, Unreachable, World


@dataclass(frozen=True)
class Verdict:
    """Names of the ready pods by what their sidecars say; `refused` and `silent` with the reason."""

    current: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    silent: tuple[tuple[str, str], ...] = ()


def verdict(world: World, wanted: str) -> Verdict:
    """Sort the ready pods; `wanted` is the digest of the configuration."""
    ready = [pod for pod in world.pods if pod.ready and not pod.terminating]
    reports = {pod.name: world.guards.get(pod.name, Unreachable("not asked yet")) for pod in ready}
    answers = {name: report for name, report in reports.items() if isinstance(report, Report)}
    errors = {name: _error(report) for name, report in answers.items() if not is_current(report, wanted)}
    return Verdict(
        current=tuple(name for name in answers if name not in errors),
        behind=tuple(name for name, error in errors.items() if error is None),
        refused=tuple((name, error) for name, error in errors.items() if error is not None),
        silent=tuple((name, report.reason) for name, report in reports.items() if isinstance(report, Unreachable)),
    )


def is_current(report: Report | Unreachable | None, wanted: str) -> bool:
    """Whether guard and cache both run that configuration."""
    return isinstance(report, Report) and report.digest == wanted and report.cache_digest == wanted


def needs_nudge(world: World, pod: Pod, wanted: str) -> bool:
    """Whether a pod's kubelet should be told to look at the configuration.

    A pod without an address has not mounted it yet, and one that has just started mounted what was current.
    """
    report = world.guards.get(pod.name)
    unheard = report is None or (isinstance(report, Unreachable) and not pod.ready)
    fresh = unheard and (world.now - pod.created).total_seconds() < FRESH_SECONDS
    return bool(pod.ip) and not (pod.terminating or fresh or is_current(report, wanted))


FRESH_SECONDS = 30
"""How long a pod without a report is taken to be starting."""


def _error(report: Report) -> str | None:
    """Why a sidecar refuses the configuration; a cache that runs none does not answer just now, and refuses nothing."""
    return report.error or (report.cache_error if report.cache_digest else None)
