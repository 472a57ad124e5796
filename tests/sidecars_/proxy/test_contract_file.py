from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from llmops_sidecars.contract import Configuration, Contract, ContractError, TritonHttpEngine, digest, encode
from llmops_sidecars.proxy.contract_file import MAX_BYTES, ContractFile, InUse
from llmops_sidecars.proxy.watched import POLL_SECONDS
from tests.support.asgi import eventually
from tests.support.mounts import Mount


def document(model: str = "chat") -> bytes:
    return encode(Contract(model, TritonHttpEngine("http://127.0.0.1:8000"), (Configuration("r1"),)))


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path)


def put(mount: Mount, content: bytes | None) -> None:
    mount.put({} if content is None else {"contract.json": content})


def watched(mount: Mount, poll_seconds: float = POLL_SECONDS) -> ContractFile[str]:
    return ContractFile(mount.folder / "contract.json", model_of, poll_seconds=poll_seconds)


def model_of(contract: Contract) -> str:
    if contract.model == "unusable":
        raise ContractError("rule 3 does not compile")
    if contract.model == "bug":
        raise ValueError("text of a request")
    return contract.model.upper()


def used(file: ContractFile[str]) -> str | None:
    return file.current.built if file.current else None


def test_the_contract_is_read_and_built(mount: Mount) -> None:
    put(mount, document())
    file = watched(mount)
    assert file.check()
    assert file.current is not None
    assert (file.current.built, file.current.contract.model) == ("CHAT", "chat")
    assert (file.current.digest, file.error) == (digest(document()), None)


def test_a_swap_of_the_mounted_folder_is_seen_once(mount: Mount) -> None:
    put(mount, document("a"))
    file = watched(mount)
    assert (file.check(), file.check()) == (True, False)
    put(mount, document("b"))
    assert (file.check(), file.check(), used(file)) == (True, False, "B")


def test_the_same_content_again_is_no_change(mount: Mount) -> None:
    put(mount, document())
    file = watched(mount)
    file.check()
    before = file.current
    put(mount, document())
    assert not file.check()
    assert file.current is before


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "truncated"),
        (b"{", "truncated"),
        (b'{"model": "\xff"}', "utf-8"),
        (document().replace(b'"version": 1', b'"version": 2'), "version 2 is not supported"),
        (document().replace(b'"limits"', b'"limit"'), "unknown field `limit`"),
        (document("unusable"), "rule 3 does not compile"),
        (document("bug"), "internal error: ValueError"),
        (b" " * (MAX_BYTES + 1), "larger than"),
    ],
    ids=["missing", "empty", "cut", "invalid UTF-8", "version", "unknown field", "does not build", "bug", "huge"],
)
@pytest.mark.parametrize("at_start", [True, False], ids=["at start", "later"])
def test_a_contract_that_cannot_be_used_is_refused(
    mount: Mount, content: bytes | None, says: str, *, at_start: bool
) -> None:
    file = watched(mount)
    if not at_start:
        put(mount, document("good"))
        file.check()
    put(mount, content)
    assert not file.check()
    assert says in str(file.error)
    assert used(file) == (None if at_start else "GOOD")
    put(mount, document("better"))
    assert (file.check(), file.error, used(file)) == (True, None, "BETTER")


def test_going_back_to_the_contract_in_use_clears_the_error(mount: Mount) -> None:
    file = watched(mount)
    for content in (document(), b"{", document()):
        put(mount, content)
        file.check()
    assert (file.error, used(file)) == (None, "CHAT")


def test_a_file_that_comes_back_unchanged_is_in_use_again(mount: Mount, tmp_path: Path) -> None:
    put(mount, document())
    file = watched(mount)
    file.check()
    away = tmp_path / "away"
    (tmp_path / "..data").rename(away)
    file.check()
    assert "No such file" in str(file.error)
    away.rename(tmp_path / "..data")
    file.check()
    assert (file.error, used(file)) == (None, "CHAT")


def test_an_error_is_logged_once_and_without_the_text_of_exceptions(
    mount: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    put(mount, b"{")
    file = watched(mount)
    for _ in range(3):
        file.check()
    put(mount, b"{ ")
    file.check()
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["contract refused"]


def test_subscribers_hear_of_each_change_whatever_the_others_do(mount: Mount) -> None:
    heard: list[tuple[str, str | None]] = []

    def fail(_new: InUse[str], _former: InUse[str] | None) -> None:
        raise ValueError("a bug")

    def hear(new: InUse[str], former: InUse[str] | None) -> None:
        heard.append((new.built, former.built if former else None))

    file = watched(mount)
    file.subscribe(fail)
    file.subscribe(hear)
    for model in ("a", "unusable", "b"):
        put(mount, document(model))
        file.check()
    assert heard == [("A", None), ("B", "A")]
    assert file.error is None


async def test_the_loop_follows_the_file(mount: Mount) -> None:
    file = watched(mount, poll_seconds=0.01)
    task = asyncio.create_task(file.run())
    await eventually(lambda: file.error)
    put(mount, document("a"))
    await eventually(lambda: used(file) == "A")
    put(mount, b"{")
    await eventually(lambda: file.error)
    put(mount, document("b"))
    await eventually(lambda: used(file) == "B")
    assert not task.done()
    task.cancel()


def with_key(folder: Path) -> ContractFile[str]:
    """A contract of which a file beside it is built."""
    (folder / "contract.json").write_bytes(document())

    def build(_contract: Contract) -> str:
        try:
            return (folder / "key").read_text(encoding="utf-8")
        except OSError as error:
            raise ContractError("the key cannot be read") from error

    return ContractFile(folder / "contract.json", build, beside=lambda _contract: (str(folder / "key"),))


def test_a_file_beside_the_contract_is_waited_for_and_followed(tmp_path: Path) -> None:
    file = with_key(tmp_path)
    assert not file.check()
    assert (file.current, file.error) == (None, "the key cannot be read")
    assert not file.check()
    (tmp_path / "key").write_text("first", encoding="utf-8")
    assert file.check()
    assert used(file) == "first"
    assert file.error is None
    assert not file.check()
    (tmp_path / "key").write_text("second one", encoding="utf-8")
    assert file.check()
    assert used(file) == "second one"


def test_the_last_good_one_stays_when_a_file_beside_it_goes(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("first", encoding="utf-8")
    file = with_key(tmp_path)
    file.check()
    (tmp_path / "key").unlink()
    assert not file.check()
    assert (used(file), file.error) == ("first", "the key cannot be read")


def test_an_older_contract_is_used_again_after_one_that_waits(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("first", encoding="utf-8")
    file = with_key(tmp_path)
    file.check()
    (tmp_path / "contract.json").write_bytes(b"broken")
    file.check()
    assert file.error is not None
    (tmp_path / "contract.json").write_bytes(document())
    assert not file.check()
    assert used(file) == "first"
    assert file.error is None
