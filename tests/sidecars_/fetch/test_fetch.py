from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from llmops_sidecars.fetch.directory import LOCK, MARK
from llmops_sidecars.fetch.download import ATTEMPTS, Options, _pause, fetch
from llmops_sidecars.fetch.errors import FetchError, TransientError
from tests.support.hub import SIGNATURE, FakeHub, Fault, Repository, list_commit, running_hub

WEIGHTS = bytes(range(256)) * 4000
MODEL = Repository(
    "acme/tiny",
    {
        "config.json": b'{"architectures": ["Tiny"]}',
        "tokenizer.json": b'{"version": "1.0"}',
        "model-00001-of-00002.safetensors": WEIGHTS,
        "model-00002-of-00002.safetensors": WEIGHTS[1:],
        "original/params with #signs?.json": b"{}",
        "pytorch_model.bin": b"pickle",
        "modeling.py": b"import os",
        "README.md": b"# Tiny",
    },
)
GATED = Repository("acme/gated", {"w.safetensors": b"w", "config.json": b"{}"}, token="hf_right")
FIRST = "model-00001-of-00002.safetensors"
FETCHED = {path for path in MODEL.files if path.endswith((".json", ".safetensors"))}


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with running_hub(MODEL, GATED) as running:
        yield running


def options(hub: FakeHub, target: Path, repository: Repository = MODEL, token: str | None = None) -> Options:
    return Options(repository.name, repository.commit, target, hub.url, token, first_pause=0.001)


def found(target: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    return {path: content for path, content in files.items() if path not in {MARK, LOCK}}


async def test_a_commit_is_fetched_without_its_code(hub: FakeHub, tmp_path: Path) -> None:
    await fetch(options(hub, tmp_path))
    assert found(tmp_path) == {path: MODEL.files[path] for path in FETCHED}
    assert MODEL.commit.encode() in (tmp_path / MARK).read_bytes()


async def test_the_second_run_asks_nobody(hub: FakeHub, tmp_path: Path) -> None:
    await fetch(options(hub, tmp_path))
    hub.requests.clear()
    await fetch(options(hub, tmp_path))
    assert hub.requests == []


async def test_a_lost_file_is_fetched_again_and_no_other(hub: FakeHub, tmp_path: Path) -> None:
    await fetch(options(hub, tmp_path))
    (tmp_path / "config.json").unlink()
    hub.requests.clear()
    await fetch(options(hub, tmp_path))
    assert found(tmp_path).keys() == FETCHED
    assert len(hub.requests) == 2


async def test_a_cut_download_goes_on_where_it_was_cut(hub: FakeHub, tmp_path: Path) -> None:
    hub.flaky = True
    await fetch(options(hub, tmp_path))
    assert found(tmp_path).keys() == FETCHED
    ranges = [each.range for each in hub.content_requests(FIRST) if each.server == "storage"]
    assert len(ranges) == 2
    assert ranges[0] is None
    assert ranges[1] is not None
    assert ranges[1] != "bytes=0-"


async def test_a_killed_run_is_gone_on_with(hub: FakeHub, tmp_path: Path) -> None:
    half = len(WEIGHTS) // 2
    (tmp_path / f".{FIRST}.{MODEL.commit[:12]}.partial").write_bytes(WEIGHTS[:half])
    await fetch(options(hub, tmp_path))
    assert found(tmp_path).keys() == FETCHED
    assert f"bytes={half}-" in {each.range for each in hub.requests}


async def test_a_partial_file_that_is_whole_only_needs_its_check(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / f".{FIRST}.{MODEL.commit[:12]}.partial").write_bytes(WEIGHTS)
    await fetch(options(hub, tmp_path))
    assert found(tmp_path)[FIRST] == WEIGHTS
    assert not hub.content_requests(FIRST)


@pytest.mark.parametrize(
    "rest", [b"wrong" * 10, WEIGHTS + b"more", b"\0" * len(WEIGHTS)], ids=["wrong", "long", "zeros"]
)
async def test_a_damaged_partial_file_is_begun_anew(hub: FakeHub, tmp_path: Path, rest: bytes) -> None:
    (tmp_path / f".{FIRST}.{MODEL.commit[:12]}.partial").write_bytes(rest)
    await fetch(options(hub, tmp_path))
    assert found(tmp_path) == {path: MODEL.files[path] for path in FETCHED}


@pytest.mark.parametrize("fault", [each for each in Fault if each not in {Fault.WHOLE, Fault.SHIFTED, Fault.NO_RANGE}])
async def test_one_fault_is_survived(hub: FakeHub, tmp_path: Path, fault: Fault) -> None:
    hub.faults.extend([fault] * 3)
    await fetch(options(hub, tmp_path))
    assert found(tmp_path) == {path: MODEL.files[path] for path in FETCHED}


@pytest.mark.parametrize("fault", [Fault.WHOLE, Fault.SHIFTED, Fault.NO_RANGE])
async def test_a_server_that_cannot_resume_is_asked_for_all(hub: FakeHub, tmp_path: Path, fault: Fault) -> None:
    only = Repository("acme/tiny", {"w.safetensors": WEIGHTS})
    hub.repositories = {only.name: only}
    hub.faults.extend([Fault.CUT, fault])
    await fetch(options(hub, tmp_path, only))
    assert found(tmp_path) == {"w.safetensors": WEIGHTS}


@pytest.mark.parametrize("fault", [Fault.CORRUPT, Fault.BUSY, Fault.LONG])
async def test_a_fault_that_stays_ends_the_attempts(hub: FakeHub, tmp_path: Path, fault: Fault) -> None:
    only = Repository("acme/tiny", {"w.safetensors": b"weights"})
    hub.repositories = {only.name: only}
    hub.faults.extend([fault] * 100)
    target = options(hub, tmp_path, only)
    with pytest.raises(FetchError, match=f"given up after {ATTEMPTS} attempts"):
        await fetch(target)
    assert len(hub.faults) == 100 - ATTEMPTS
    assert not (tmp_path / MARK).exists()
    assert not (tmp_path / "w.safetensors").exists()


async def test_a_busy_server_says_how_long_to_wait(
    hub: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.retry_after = 1
    hub.faults.append(Fault.BUSY)
    await fetch(options(hub, tmp_path))
    assert "127.0.0.1 answers with status 503; attempt 2 follows in 1.0 s" in caplog.text


@pytest.mark.parametrize(
    ("error", "seconds", "shortest", "longest"),
    [
        (TimeoutError(), 2.0, 1.0, 2.0),
        (TransientError("busy", 7), 2.0, 7.0, 7.0),
        (TransientError("busy", 7), 64.0, 32.0, 60.0),
        (TransientError("busy", 6000), 1.0, 60.0, 60.0),
    ],
    ids=["jittered", "asked-for", "longer-than-asked-for", "bounded"],
)
def test_pauses_are_bounded(error: Exception, seconds: float, shortest: float, longest: float) -> None:
    assert all(shortest <= _pause(error, seconds) <= longest for _ in range(50))


async def test_a_hub_that_is_down_is_named(tmp_path: Path) -> None:
    down = Options("acme/tiny", MODEL.commit, tmp_path, "http://127.0.0.1:1", first_pause=0.001)
    with pytest.raises(FetchError, match=r"no connection to 127\.0\.0\.1:1: Conn.*check the network to the hub"):
        await fetch(down)


async def test_a_mirror_that_lists_names_only_is_enough(hub: FakeHub, tmp_path: Path) -> None:
    hub.blobs = False
    hub.faults.append(Fault.CORRUPT)
    await fetch(options(hub, tmp_path))
    assert found(tmp_path) == {path: MODEL.files[path] for path in FETCHED}


async def test_what_cannot_be_checked_is_not_kept(hub: FakeHub, tmp_path: Path) -> None:
    hub.blobs = hub.etags = False
    with pytest.raises(FetchError, match="no digest"):
        await fetch(options(hub, tmp_path))
    assert not (tmp_path / MARK).exists()


async def test_the_token_goes_to_the_hub_and_nowhere_else(hub: FakeHub, tmp_path: Path) -> None:
    await fetch(options(hub, tmp_path, GATED, "hf_right"))
    sent = {(each.server, each.authorization) for each in hub.requests}
    assert sent == {("hub", "Bearer hf_right"), ("storage", None)}


async def test_a_repository_that_moved_is_followed_with_the_token(hub: FakeHub, tmp_path: Path) -> None:
    hub.moved = {"acme/old-name": "acme/gated"}
    await fetch(Options("acme/old-name", GATED.commit, tmp_path, hub.url, "hf_right", first_pause=0.001))
    assert found(tmp_path).keys() == {"w.safetensors", "config.json"}


@pytest.mark.parametrize(
    ("repository", "token", "message"),
    [
        ("acme/gated", None, "does not exist or needs a token"),
        ("acme/gated", "hf_wrong", "accept the model's terms at http://.*/acme/gated"),
        ("acme/unknown", None, "does not exist or needs a token"),
        ("acme/unknown", "hf_right", "has no acme/unknown at commit .*: check both"),
    ],
    ids=["no-token", "no-access", "unknown", "unknown-with-token"],
)
async def test_a_refusal_says_what_to_do(
    hub: FakeHub, tmp_path: Path, repository: str, token: str | None, message: str
) -> None:
    with pytest.raises(FetchError, match=message):
        await fetch(Options(repository, GATED.commit, tmp_path, hub.url, token, first_pause=0.001))
    assert len(hub.requests) == 1


async def test_an_unknown_commit_is_said(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"at commit ffff.*: check both"):
        await fetch(Options("acme/tiny", "f" * 40, tmp_path, hub.url, first_pause=0.001))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda listing: listing | {"sha": "f" * 40}, "give the commit itself"),
        (lambda listing: listing | {"siblings": [{"rfilename": "../../x.json"}]}, "could lead out of the target"),
        (lambda _: [], "cannot be read"),
    ],
    ids=["another-commit", "traversal", "no-listing"],
)
async def test_a_listing_that_is_wrong_stops_everything(
    hub: FakeHub, tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    hub.listing = lambda repository: change(list_commit(repository))
    with pytest.raises(FetchError, match=message):
        await fetch(options(hub, tmp_path / "model"))
    assert found(tmp_path / "model") == {}
    assert found(tmp_path) == {f"model/{LOCK}": b""}


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254", "http://[::ffff:169.254.169.254]", "file:///etc", "http://2130706433"]
)
async def test_a_redirect_to_a_forbidden_place_is_not_followed(hub: FakeHub, tmp_path: Path, location: str) -> None:
    hub.redirect_to = location
    with pytest.raises(FetchError, match=r"the hub redirects to|usual form"):
        await fetch(options(hub, tmp_path))
    assert not (tmp_path / MARK).exists()


async def test_a_redirect_without_end_is_given_up(hub: FakeHub, tmp_path: Path) -> None:
    hub.moved = {"acme/tiny": "acme/tiny"}
    with pytest.raises(FetchError, match="redirects more than"):
        await fetch(options(hub, tmp_path))


async def test_a_storage_that_refuses_is_asked_for_a_new_url(hub: FakeHub, tmp_path: Path) -> None:
    hub.redirect_to = f"{hub.storage_url}/expired"
    with pytest.raises(FetchError, match=r"127\.0\.0\.1 answers with status 404; given up"):
        await fetch(options(hub, tmp_path))


async def test_two_runs_on_one_directory_fetch_once(hub: FakeHub, tmp_path: Path) -> None:
    await asyncio.gather(*[fetch(options(hub, tmp_path)) for _ in range(2)])
    assert len(hub.content_requests("config.json")) == 1


async def test_a_stopped_run_leaves_no_mark_and_frees_the_lock(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.extend([Fault.BUSY] * 100)
    running = asyncio.create_task(fetch(options(hub, tmp_path)))
    while not hub.content_requests("config.json"):  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait({running})
    assert not (tmp_path / MARK).exists()
    hub.faults.clear()
    await fetch(options(hub, tmp_path))
    assert found(tmp_path).keys() == FETCHED


async def test_the_log_tells_progress_and_no_secret(
    hub: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hub.faults.extend([Fault.BUSY, Fault.CUT, Fault.CORRUPT])
    await fetch(options(hub, tmp_path, GATED, "hf_right"))
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("llmops_sidecars")]
    assert f"fetching acme/gated at {GATED.commit}: 0 of 2 files, 0.00 of 0.00 GB (0%), 0.0 MB/s, 0 s" in ours
    assert ours[-1].startswith("complete: 2 of 2 files")
    assert any("attempt 2 follows" in line for line in ours)
    assert not any("hf_right" in line or SIGNATURE in line for line in ours)
