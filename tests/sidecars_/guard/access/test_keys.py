from __future__ import annotations

import logging
from pathlib import Path

import pytest

from llmops_sidecars.guard.access.keys import KeyFiles, parse
from llmops_sidecars.proxy.watched import UnusableError
from tests.support.mounts import Mount

A, B, C = "sk-aaaaaaaaaaaaaaaa", "sk-bbbbbbbbbbbbbbbb", "sk-cccccccccccccccc"


def test_a_file_is_a_tenant_and_each_of_its_lines_a_key() -> None:
    keys = parse({"team-a": f"{A}\n\n  {B}\r\n# the old one\n".encode(), "team-b": C.encode()})
    assert [keys.tenant(key) for key in (A, B, C, "sk-dddddddddddddddd", "", "# the old one")] == [
        "team-a",
        "team-a",
        "team-b",
        None,
        None,
        None,
    ]
    assert keys.tenants == {"team-a", "team-b"}


def test_a_key_is_known_only_as_a_whole() -> None:
    keys = parse({"team-a": A.encode()})
    assert not any(keys.tenant(guess) for guess in (A[:-1], A + "a", A.upper(), f" {A}", A.replace("a", "ä")))


def test_keys_are_not_kept() -> None:
    assert A not in repr(parse({"team-a": A.encode()}))
    assert not any(A.encode() in digest for digest in parse({"team-a": A.encode()}).by_digest)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"team a": A}, "'team a' cannot be a tenant"),
        ({"-a": A}, "cannot be a tenant"),
        ({"a" * 64: A}, "cannot be a tenant"),
        ({"a": "short"}, "a, line 1: a key has 16 to 512 visible"),
        ({"a": f"{A}\n{'x' * 513}"}, "a, line 2: a key has"),
        ({"a": "sk-with a space in it"}, "without spaces"),
        ({"a": "sk-ümläutümläutümläut"}, "visible ASCII"),
        ({"a": "sk-null\x00null\x00null\x00null"}, "visible ASCII"),
        ({"a": A, "b": f"{B}\n{A}"}, "b, line 2: the key is a's already"),
        ({"a": "#" * (1024 * 1024 + 1)}, "more than 1048576 bytes"),
    ],
    ids=["space", "dash", "long name", "short key", "long key", "spaces", "letters", "nulls", "twice", "huge"],
)
def test_keys_that_cannot_be_used_are_refused_whole(files: dict[str, str], says: str) -> None:
    with pytest.raises(UnusableError, match=says) as caught:
        parse({name: content.encode() for name, content in files.items()})
    assert not any(line in str(caught.value) for content in files.values() for line in content.splitlines())


def test_the_same_key_twice_in_one_file_is_one_key() -> None:
    assert len(parse({"a": f"{A}\n{A}".encode()}).by_digest) == 1


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path / "keys")


def whose(files: KeyFiles, *keys: str) -> list[str | None]:
    files.check()
    assert files.current is not None
    return [files.current.tenant(key) for key in keys]


def test_keys_follow_the_secret(mount: Mount) -> None:
    files = KeyFiles(mount.folder)
    mount.put({"team-a": A})
    assert whose(files, A, B) == ["team-a", None]
    mount.put({"team-a": f"{A}\n{B}"})
    assert whose(files, A, B) == ["team-a", "team-a"]
    mount.put({"team-b": B})
    assert whose(files, A, B) == [None, "team-b"]


def test_an_empty_secret_is_no_key_at_all(mount: Mount) -> None:
    files = KeyFiles(mount.folder)
    assert whose(files, A) == [None]
    mount.put({"team-a": A})
    assert whose(files, A) == ["team-a"]
    mount.put({})
    assert whose(files, A) == [None]
    assert files.error is None


def test_a_broken_file_leaves_the_last_good_keys_in_use_and_says_so(
    mount: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    files = KeyFiles(mount.folder)
    mount.put({"team-a": A})
    files.check()
    mount.put({"team-a": A, "team-b": f"{A}\n{B}"})
    assert whose(files, A, B) == ["team-a", None]
    assert files.error == "team-b, line 1: the key is team-a's already"
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["API keys refused"]
    assert not any(key in str(vars(record)) for record in caplog.records for key in (A, B))
    mount.put({"team-b": B})
    assert whose(files, A, B) == [None, "team-b"]
    assert files.error is None


def test_without_its_directory_there_is_nothing_to_use(tmp_path: Path) -> None:
    files = KeyFiles(tmp_path / "missing")
    assert not files.check()
    assert files.current is None
    assert "No such file or directory" in str(files.error)
