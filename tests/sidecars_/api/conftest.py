"""Prints, at the end of each run that computed it, how well the API conforms to the published specification."""

from __future__ import annotations

import pytest

from tests.sidecars_.api.score import SCORES
from tests.support import specification


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each endpoint, and its misses below."""
    if not SCORES:
        return
    terminalreporter.section(f"conformance with OpenAI's specification {specification.version()}")
    for endpoint, score in sorted(SCORES.items()):
        terminalreporter.line(f"{endpoint}: {score.share:.1%} ({score.kept} of {score.kept + len(score.misses)})")
        for claim, what in sorted(score.misses.items()):
            terminalreporter.line(f"    missed: {claim}: {what}")
