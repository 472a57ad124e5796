from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from llmops_sidecars.cache.entry import encode_entry
from llmops_sidecars.cache.purge import Selection
from llmops_sidecars.cache.shared.login import Login
from llmops_sidecars.cache.shared.names import entry_name
from llmops_sidecars.cache.shared.resp import ReplyError
from llmops_sidecars.cache.shared.store import MOST_ENTRY_BYTES, SKEW_SECONDS
from tests.sidecars_.cache.shared.kit import KEY, PREFIX, entry, password, pod, settings
from tests.support.asgi import eventually
from tests.support.issuer import Authority
from tests.support.triton import free_ports
from tests.support.valkey import Server, running

NAME = entry_name(PREFIX, KEY, b"").decode()
ACL = f"on >secret ~{PREFIX}* resetchannels -@all +get +set +unlink +hset +hdel +hgetall"
"""As docs/operating.md says it."""


async def test_what_one_pod_writes_another_reads(server: Server) -> None:
    async with pod(settings(server.port)) as one, pod(settings(server.port)) as other:
        written = entry()
        await one.put(written)
        assert await other.get() == written
        assert await other.get("t.r.p.m.d2") is None
        assert (other.count("get", "hit"), other.count("get", "miss")) == (1, 1)


async def test_an_entry_lives_as_long_as_it_may_less_some(server: Server) -> None:
    async with pod(settings(server.port)) as one:
        await one.put(entry(ago=20), ttl=100)
        left = server.ask("PTTL", NAME)
        assert isinstance(left, int)
        assert 69_000 <= left <= 80_001


async def test_an_entry_that_is_too_old_for_who_asks_is_a_miss_and_stays(server: Server) -> None:
    async with pod(settings(server.port)) as one:
        await one.put(entry(ago=20), ttl=100)
        assert await one.get(ttl=15) is None
        assert await one.get(ttl=30) is not None
        assert one.count("get", "expired") == 1


async def test_what_is_too_large_or_too_old_is_not_written(server: Server) -> None:
    async with pod(settings(server.port)) as one:
        await one.put(entry(text="x" * MOST_ENTRY_BYTES))
        await one.put(entry(ago=100), ttl=60)
        assert (one.count("set", "too_large"), one.count("set", "expired")) == (1, 1)
        assert server.keys() == []


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"x",
        encode_entry(entry())[:-3],
        encode_entry(entry())[:40] + b"\x00" + encode_entry(entry())[41:],
        encode_entry(entry("t.r.p.m.d2")),
        encode_entry(entry(), b"another secret"),
        encode_entry(entry(ago=-3600)),
        hashlib.sha256(b"\x81\xa3key\xa1k").digest() + b"\x81\xa3key\xa1k",
    ],
    ids=["empty", "short", "cut", "changed", "other-key", "other-secret", "future", "old-format"],
)
async def test_a_wrong_entry_is_a_miss_that_is_counted_and_deleted(server: Server, value: bytes) -> None:
    server.ask("SET", NAME, value)
    async with pod(settings(server.port)) as one:
        assert await one.get() is None
        assert one.count("get", "damaged") == 1
        await eventually(lambda: server.keys() == [])


async def test_a_key_of_another_type_is_a_miss(server: Server) -> None:
    server.ask("LPUSH", NAME, "x")
    async with pod(settings(server.port)) as one:
        assert await one.get() is None
        assert one.count("get", "refused") == 1


async def test_names_and_checksums_need_the_password(tmp_path: Path, own: Server) -> None:
    own.ask("ACL", "SETUSER", "llmops", *ACL.split())
    async with pod(settings(own.port, user="llmops", password_file=password(tmp_path))) as one:
        await one.put(entry())
        (name,) = own.keys()
        assert name != NAME.encode()
        own.ask("SET", name, encode_entry(entry(text="planted")))
        assert await one.get() is None
        own.ask("SET", name, encode_entry(entry(text="ours"), Login(b"secret").secret))
        assert await one.get() is not None


async def test_the_documented_rights_are_enough_and_no_more(tmp_path: Path, own: Server) -> None:
    own.ask("ACL", "SETUSER", "llmops", *ACL.split())
    login = ("llmops", "secret")
    async with pod(settings(own.port, user="llmops", password_file=password(tmp_path))) as one:
        await one.put(entry())
        assert await one.get() is not None
        assert await one.shared.purge(Selection(), time.time())
        await eventually(lambda: one.purged)
        assert await one.get() is None
        await eventually(lambda: one.count("unlink", "done"))
        for forbidden in (("GET", "other"), ("KEYS", "*"), ("FLUSHALL",), ("CONFIG", "GET", "*"), ("SCAN", "0")):
            with pytest.raises(ReplyError, match="NOPERM"):
                own.ask(*forbidden, login=login)


async def test_a_wrong_password_is_told_and_a_right_one_taken_up(tmp_path: Path, own: Server) -> None:
    own.ask("ACL", "SETUSER", "llmops", *ACL.split())
    file = password(tmp_path, "wrong")
    async with pod(settings(own.port, user="llmops", password_file=file), connects=False) as one:
        await eventually(lambda: "WRONGPASS" in (one.shared.pool.problem or ""))
        assert await one.get() is None
        password(tmp_path)
        await eventually(lambda: one.shared.pool.size)
        assert one.shared.pool.problem is None


async def test_a_new_password_is_taken_up_and_starts_anew(tmp_path: Path, own: Server) -> None:
    own.ask("ACL", "SETUSER", "llmops", *ACL.split(), ">new")
    async with pod(settings(own.port, user="llmops", password_file=password(tmp_path))) as one:
        await one.put(entry())
        assert await one.get() is not None
        password(tmp_path, "new")
        one.shared.pool._look_at_login()
        await eventually(lambda: one.shared.pool.size)
        assert await one.get() is None
        await one.put(entry())
        assert await one.get() is not None
        assert len(own.keys("*entry*")) == 2


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ({"password_file": "/nowhere"}, "password cannot be read: No such file or directory"),
        ({"password_file": "/dev/null"}, "password is empty"),
        ({"tls": True, "ca_file": "/nowhere"}, "authorities cannot be read"),
        ({"tls": True, "ca_file": "/dev/null"}, "authorities are not certificates"),
        ({"database": 99}, r"first question \(ERR\)"),
    ],
)
async def test_what_is_missing_is_told(server: Server, store: dict[str, object], problem: str) -> None:
    async with pod(settings(server.port, **store), connects=False) as one:
        await eventually(lambda: one.shared.pool.problem)
        with pytest.raises(AssertionError, match=problem):
            raise AssertionError(one.shared.pool.problem)
        assert await one.get() is None


async def test_nobody_there_is_told() -> None:
    (port,) = free_ports(1)
    async with pod(settings(port), connects=False) as one:
        await eventually(lambda: "ConnectionRefusedError" in (one.shared.pool.problem or ""))
        assert await one.get() is None
        assert one.count("get", "down") == 1


async def test_tls_with_authorities_of_its_own(tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue()
    for name, content in (("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority.pem)):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "other.crt").write_bytes(Authority("other").pem)
    files = ["--tls-cert-file", str(tmp_path / "tls.crt"), "--tls-key-file", str(tmp_path / "tls.key")]
    (port,) = free_ports(1)
    with running(tmp_path, "--tls-port", str(port), *files, "--tls-auth-clients", "no"):
        async with pod(settings(port, tls=True, ca_file=str(tmp_path / "ca.crt"))) as one:
            await one.put(entry())
            assert await one.get() is not None
        async with pod(settings(port, tls=True, ca_file=str(tmp_path / "other.crt")), connects=False) as one:
            await eventually(lambda: "not trusted" in (one.shared.pool.problem or ""))


async def test_a_purge_reaches_all_pods_and_what_comes_late(server: Server) -> None:
    other_revision = "t.r2.p.m.d"
    async with pod(settings(server.port)) as one, pod(settings(server.port)) as other:
        await one.put(entry())
        await one.put(entry(other_revision))
        assert await one.shared.purge(Selection(revision="r"), time.time())
        await eventually(lambda: other.purged == [Selection(revision="r")])
        assert await other.get() is None
        assert other.count("get", "purged") == 1
        await one.put(entry(ago=1))
        assert await other.get() is None
        assert await other.get(other_revision) is not None
        await one.put(entry(ago=-SKEW_SECONDS - 1))
        assert await other.get() is not None


async def test_a_new_pod_knows_of_purges_before_it_reads(server: Server) -> None:
    async with pod(settings(server.port)) as one:
        await one.put(entry())
        await one.shared.purge(Selection(digest="d1"), time.time())
    async with pod(settings(server.port)) as other:
        assert await other.get() is None
        assert other.count("get", "purged") == 1


async def test_purges_that_the_store_has_lost_come_back(server: Server) -> None:
    async with pod(settings(server.port)) as one:
        one.marks.add(Selection(policy="p"), time.time())
        await one.shared.purge(Selection(policy="p"), time.time())
        server.ask("FLUSHALL")
        await eventually(lambda: server.ask("HKEYS", f"{PREFIX}purges") == [b"*.*.p.*.*"])


async def test_purges_of_what_cannot_be_there_any_more_are_dropped(server: Server) -> None:
    server.ask("HSET", f"{PREFIX}purges", "*.*.p.*.*", "1000.0", "nonsense", "x", "*.r.*.*.*", f"{time.time()}")
    async with pod(settings(server.port)) as one:
        await eventually(lambda: server.ask("HKEYS", f"{PREFIX}purges") == [b"*.r.*.*.*"])
        assert one.purged == [Selection(revision="r")]
