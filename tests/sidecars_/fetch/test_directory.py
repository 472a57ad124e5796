from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from pathlib import Path

import pytest

from llmops_sidecars.fetch.directory import LOCK, MARK, Directory
from llmops_sidecars.fetch.errors import FetchError, UselessError
from llmops_sidecars.fetch.files import RemoteFile
from llmops_sidecars.fetch.partial import Partial, disk_errors
from tests.support.hub import git_object

COMMIT = "0e9e39f249a16976918f6564b8830bc894c89659"
CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def directory(path: Path, revision: str = COMMIT) -> Directory:
    return Directory(path, "a/b", revision)


def partial(path: Path) -> Partial:
    return Partial(path / "sub" / "w.safetensors", COMMIT)


def write_and_finish(file: Partial, content: bytes) -> None:
    file.append(content)
    file.finish(len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("digest", [SHA256, git_object(CONTENT)], ids=["sha256", "git"])
def test_a_whole_file_gets_its_name(tmp_path: Path, digest: str) -> None:
    with partial(tmp_path) as file:
        file.append(CONTENT[:100])
        file.append(CONTENT[100:])
        assert not (tmp_path / "sub" / "w.safetensors").exists()
        file.finish(len(CONTENT), digest)
    assert (tmp_path / "sub" / "w.safetensors").read_bytes() == CONTENT
    assert len(list((tmp_path / "sub").iterdir())) == 1


def test_a_later_attempt_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    with partial(tmp_path) as file:
        file.append(CONTENT[:100])
    with partial(tmp_path) as file:
        file.resume()
        assert file.size == 100
        file.append(CONTENT[100:])
        file.finish(len(CONTENT), SHA256)


def test_another_commits_partial_file_is_not_taken_up(tmp_path: Path) -> None:
    with partial(tmp_path) as file:
        file.append(CONTENT)
    with Partial(tmp_path / "sub" / "w.safetensors", "f" * 40) as file:
        file.resume()
        assert file.size == 0


def test_a_restart_forgets_what_was_there(tmp_path: Path) -> None:
    with partial(tmp_path) as file:
        file.append(b"wrong")
        file.restart()
        file.append(CONTENT)
        file.finish(len(CONTENT), SHA256)


@pytest.mark.parametrize(
    ("size", "digest"),
    [(len(CONTENT) + 1, SHA256), (None, "0" * 64), (len(CONTENT), "0" * 40)],
    ids=["size", "sha256", "git"],
)
def test_a_wrong_file_does_not_get_its_name(tmp_path: Path, size: int | None, digest: str) -> None:
    with partial(tmp_path) as file:
        file.append(CONTENT)
        with pytest.raises(UselessError, match=r"w\.safetensors"):
            file.finish(size, digest)
    assert not (tmp_path / "sub" / "w.safetensors").exists()


@pytest.mark.parametrize("digest", [None, "", "d41d8cd98f-2"])
def test_a_file_that_cannot_be_checked_is_refused(tmp_path: Path, digest: str | None) -> None:
    with partial(tmp_path) as file, pytest.raises(FetchError, match="no digest"):
        file.finish(None, digest)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "disk is full at model: enlarge the volume"),
        (errno.EDQUOT, "disk is full"),
        (errno.EROFS, "cannot write model: Read-only file system"),
    ],
    ids=["full", "quota", "read-only"],
)
def test_what_is_wrong_with_the_disk_is_said(number: int, message: str) -> None:
    with pytest.raises(FetchError, match=message), disk_errors(Path("model")):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("size", [10, 100_000], ids=["at-the-end", "while-writing"])
def test_a_full_disk_is_noticed(tmp_path: Path, size: int) -> None:
    (tmp_path / f".w.safetensors.{COMMIT[:12]}.partial").symlink_to("/dev/full")
    with Partial(tmp_path / "w.safetensors", COMMIT) as file, pytest.raises(FetchError, match="disk is full"):
        write_and_finish(file, b"x" * size)


def test_a_lack_of_space_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    directory(tmp_path).require_space(1)
    with pytest.raises(FetchError, match=r"a/b needs 1000000000\.0 GB more, .* GB free: enlarge the volume"):
        directory(tmp_path).require_space(10**18)


def test_a_directory_is_complete_with_mark_and_files(tmp_path: Path) -> None:
    target, file = directory(tmp_path), RemoteFile("config.json", 2)
    assert not target.is_complete()
    (tmp_path / "config.json").write_bytes(b"{}")
    assert not target.is_complete()
    target.complete((file,))
    assert target.is_complete()
    (tmp_path / "config.json").write_bytes(b"{")
    assert not target.is_complete()
    (tmp_path / "config.json").unlink()
    assert not target.is_complete()


@pytest.mark.parametrize("mark", [b"", b"{}", b"\xff"])
def test_a_damaged_mark_is_no_mark(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / MARK).write_bytes(mark)
    assert not directory(tmp_path).is_complete()


def test_another_commits_directory_is_left_alone(tmp_path: Path) -> None:
    directory(tmp_path, "f" * 40).complete(())
    with pytest.raises(FetchError, match="fetch into another directory"):
        directory(tmp_path).is_complete()


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    target, entered = directory(tmp_path / "new"), []

    async def enter(name: str, leave: asyncio.Event) -> None:
        async with target.locked():
            entered.append(name)
            await leave.wait()

    leave_first, leave_second = asyncio.Event(), asyncio.Event()
    leave_second.set()
    async with asyncio.TaskGroup() as group:
        group.create_task(enter("first", leave_first))
        second = group.create_task(enter("second", leave_second))
        done, _ = await asyncio.wait({second}, timeout=0.1)
        assert (done, entered) == (set(), ["first"])
        leave_first.set()
    assert entered == ["first", "second"]
    assert (tmp_path / "new" / LOCK).exists()


async def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FetchError, match="cannot write"):
        async with directory(tmp_path / "file" / "model").locked():
            pass
