from __future__ import annotations

import io
import threading

import pytest

from e2e.cluster import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Watched(io.StringIO):
    """Lets a test wait until something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        count = super().write(text)
        self.written.set()
        return count


def test_a_line_has_the_time_the_text_and_what_the_step_is_busy_with() -> None:
    step = progress.Step("building kube", start=100.0)
    assert step.line(112.34) == "   12.3s  building kube"
    step.note("7 packages compiled")
    assert step.line(800.0) == "  700.0s  building kube (7 packages compiled)"


def test_a_long_step_shows_that_it_lives_and_then_that_it_ended() -> None:
    out = Watched()
    with progress.step("building", out, heartbeat=0.01) as step:
        step.note("half")
        assert out.written.wait(10)
    lines = out.getvalue().splitlines()
    assert lines[0].endswith("s  building (half)…")
    assert all("…" in line for line in lines[:-1])


def test_a_step_with_nothing_to_do_says_nothing() -> None:
    out = io.StringIO()
    with progress.step("nothing", out):
        pass
    assert not out.getvalue()


def test_a_finished_step_leaves_one_line_without_its_last_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET", 0.0)
    out = io.StringIO()
    with progress.step("loading", out) as step:
        step.note("image 3")
    assert out.getvalue() == "    0.0s  loading\n"


def test_a_failed_step_says_so_however_short_it_was() -> None:
    out = io.StringIO()
    with pytest.raises(ValueError, match="no"), progress.step("loading", out):
        raise ValueError("no")
    assert out.getvalue() == "    0.0s  loading: failed\n"


def test_on_a_terminal_the_running_line_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "TICK", 0.001)
    out = Terminal()
    with progress.step("loading", out):
        while "…" not in out.getvalue():
            threading.Event().wait(0.001)
    assert out.getvalue().startswith("\r\033[K    0.0s  loading…")
    assert "\r\033[K" in out.getvalue()[3:]


def test_a_plain_line_is_aligned_with_the_timed_ones() -> None:
    out = io.StringIO()
    progress.say("hello", out)
    assert out.getvalue().index("hello") == progress.Step("hello", start=0.0).line(1.0).index("hello")
