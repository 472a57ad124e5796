from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llmops_sidecars.contract import Action, ContractError, OnError, Policy, WebhookRule
from llmops_sidecars.guard.policy import compile_policy
from llmops_sidecars.guard.rules import webhook
from llmops_sidecars.guard.rules.finding import Check, Context, Size
from llmops_sidecars.guard.rules.webhook.breaker import FAILURES, PAUSE_SECONDS, Breaker, OpenError
from llmops_sidecars.guard.rules.webhook.client import SESSIONS, is_inside
from llmops_sidecars.openai.answers import Chunk, ChunkChoice, Delta, FunctionDelta, ToolCallDelta, encode_answer
from llmops_sidecars.openai.events import DONE, encode_event
from tests.sidecars_.guard.hooks import Service, everywhere, hooked, serving_judge
from tests.sidecars_.guard.kit import MAIL, WRITER, FakeCache, delta, question, said

SIZE = Size(1, ("hello",))


@pytest.fixture
async def judge() -> AsyncIterator[tuple[Service, str]]:
    async with serving_judge() as found:
        yield found


@pytest.fixture
def service(judge: tuple[Service, str]) -> Service:
    return judge[0]


@pytest.fixture
def url(judge: tuple[Service, str]) -> str:
    return judge[1]


async def test_one_question_holds_all_texts_as_they_are_forwarded(tmp_path: Path, service: Service, url: str) -> None:
    guard = hooked(tmp_path, FakeCache(said("ok")), WebhookRule(url))
    body = question() | {
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"Write to {MAIL}."}]
    }
    answer = await guard.ask(body, x_request_id="r-1", authorization="Bearer secret-of-a-client")
    assert answer.status == 200
    (asked,) = service.questions
    assert {name: asked[name] for name in ("version", "id", "direction", "policy")} == {
        "version": 1,
        "id": "r-1",
        "direction": "input",
        "policy": {"name": "strict", "version": "p7"},
    }
    assert {"Be kind.", "Write to [EMAIL]."} <= set(asked["texts"])
    assert asked["tenant"] not in ("", "anonymous")
    assert b"secret-of-a-client" not in service.bodies[0]
    assert MAIL.encode() not in service.bodies[0]
    assert await guard.metric('llmops_guard_rule_seconds_count{revision="r1",rule="webhook"}') == 1


@pytest.mark.parametrize(
    ("answer", "action", "status", "counted"),
    [
        ({"action": "Pass"}, Action.BLOCK, 200, None),
        ({"action": "Block", "kind": "self-made"}, Action.BLOCK, 400, "Block"),
        ({"action": "Report", "kind": "self-made"}, Action.BLOCK, 200, "Report"),
        ({"action": "Block", "kind": "self-made"}, Action.REPORT, 200, "Report"),
        ({"action": "Pass", "more": [1, 2]}, Action.BLOCK, 200, None),
    ],
)
async def test_the_service_decides_on_a_request(
    tmp_path: Path, service: Service, url: str, answer: object, action: Action, status: int, counted: str | None
) -> None:
    service.answer = answer
    guard = hooked(tmp_path, cache := FakeCache(said("ok")), WebhookRule(url, action=action))
    told = await guard.ask()
    assert (told.status, len(cache.requests)) == (status, int(status == 200))
    if status == 400:
        assert told.error["code"] == "content_blocked"
        assert "rule 'webhook: self-made'" in told.error["message"]
    name = f'llmops_guard_verdicts_total{{action="{counted}",direction="input",revision="r1",rule="webhook"}}'
    assert await guard.metric(name) == (0 if counted is None else 1)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_service_sees_a_whole_answer_before_any_of_it_leaves(
    tmp_path: Path, service: Service, url: str, *, stream: bool
) -> None:
    guard = hooked(
        tmp_path, cache := FakeCache(said("Write", f" to {MAIL}", "!")), WebhookRule(url), direction="output"
    )
    answer = await guard.ask(question(stream=stream))
    text = answer.text if stream else answer.json["choices"][0]["message"]["content"]
    assert text == "Write to [EMAIL]!"
    (asked,) = service.questions
    assert (asked["direction"], asked["texts"]) == ("output", ["Write to [EMAIL]!"])
    assert len(cache.commits) == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_nothing_of_an_answer_leaves_that_the_service_blocks(
    tmp_path: Path, service: Service, url: str, *, stream: bool
) -> None:
    service.answer = {"action": "Block", "kind": "x"}
    call = ToolCallDelta(0, "call-1", "function", FunctionDelta("secret_tool", ""))
    more = ToolCallDelta(0, None, None, FunctionDelta(None, '{"secret": 1}'))
    script = [
        WRITER.role(),
        WRITER.text("secret words"),
        delta(Delta(tool_calls=(call,))),
        delta(Delta(tool_calls=(more,))),
    ]
    guard = hooked(tmp_path, cache := FakeCache([*script, *said()[1:]]), WebhookRule(url), direction="output")
    tools = [{"type": "function", "function": {"name": "secret_tool"}}]
    answer = await guard.ask(question(stream=stream, tools=tools))
    assert answer.status == 200
    assert b"secret" not in answer.body
    assert b"content_filter" in answer.body
    assert sorted(service.questions[0]["texts"]) == ["secret words", "secret_tool", '{"secret": 1}']
    assert cache.commits == []


def chosen(index: int, text: str, reason: str | None = None) -> bytes:
    """An event of one choice of several."""
    return encode_event(encode_answer(Chunk("x", 7, "m", (ChunkChoice(index, Delta(content=text), reason),))))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("action", ["Pass", "Block"])
async def test_one_question_holds_all_choices_of_an_answer(
    tmp_path: Path, service: Service, url: str, action: str, *, stream: bool
) -> None:
    """Also where one has ended, or was blocked by another rule, long before the others."""
    service.answer = {"action": action}
    script = [chosen(0, "first"), chosen(0, "", "stop"), chosen(1, f"second of {MAIL}"), chosen(1, "", "stop")]
    guard = hooked(tmp_path, cache := FakeCache([*script, DONE]), WebhookRule(url), direction="output")
    answer = await guard.ask(question(stream=stream, n=2))
    (asked,) = service.questions
    assert asked["texts"] == ["first", "second of [EMAIL]"]
    assert ((b"first" in answer.body), (b"second" in answer.body)) == (action == "Pass", action == "Pass")
    assert answer.body.count(b"content_filter") == (0 if action == "Pass" else 2)
    assert len(cache.commits) == (action == "Pass")


FAILING: dict[str, dict[str, Any]] = {
    "another status": {"status": 500},
    "a redirect": {"status": 302, "headers": [(b"location", b"/elsewhere")]},
    "no JSON": {"answer": b"yes"},
    "no object": {"answer": []},
    "no action": {"answer": {"kind": "x"}},
    "an unknown action": {"answer": {"action": "Mask"}},
    "a text for a kind": {"answer": {"action": "Block", "kind": "My name is Jane Doe"}},
    "a long answer": {"answer": {"action": "Pass", "more": "x" * 20_000}},
    "silence": {"wait": True},
}


@pytest.mark.parametrize("direction", ["input", "output"])
@pytest.mark.parametrize(("on_error", "passes"), [(OnError.CLOSED, False), (OnError.OPEN, True)])
@pytest.mark.parametrize("fields", FAILING.values(), ids=FAILING)
async def test_what_is_no_answer_refuses_or_is_counted(  # noqa: PLR0917 - columns and fixtures
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    service: Service,
    url: str,
    fields: dict[str, Any],
    on_error: OnError,
    passes: bool,  # noqa: FBT001 - a column
    direction: str,
) -> None:
    for name, value in fields.items():
        setattr(service, name, asyncio.Event() if name == "wait" else value)
    rule = WebhookRule(url, timeout_seconds=0.5 if service.wait else 30.0)
    guard = hooked(tmp_path, FakeCache(said("ok")), rule, on_error=on_error, direction=direction)
    with caplog.at_level(logging.ERROR):
        answer = await guard.ask(question(MAIL))
    assert (answer.status, len(service.questions)) == (200 if passes else 503, 1)
    if not passes:
        assert answer.error["code"] == "guard_unavailable"
    name = f'llmops_guard_errors_total{{direction="{direction}",revision="r1",rule="webhook"}}'
    assert await guard.metric(name) == 1
    seconds = 'llmops_guard_rule_seconds_{}{{revision="r1",rule="webhook"}}'
    assert await guard.metric(seconds.format("count")) == 1
    assert (await guard.metric(seconds.format("sum")) >= 0.5) is bool(service.wait)
    assert "Jane" not in caplog.text + repr([vars(record) for record in caplog.records])


async def test_nobody_at_the_url_is_an_error(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    guard = hooked(tmp_path, FakeCache(said("ok")), WebhookRule("http://127.0.0.1:9/judge"))
    with caplog.at_level(logging.CRITICAL):
        assert (await guard.ask()).error["code"] == "guard_unavailable"
    assert service.questions == []


async def weighed(check: Check) -> list[Any]:
    """What a check finds in a size."""
    assert check.bind_weigh is not None
    context = Context(request="r", tenant="t", direction="input", policy=("p", "v"))
    return list(await check.bind_weigh(context)(SIZE))


async def test_a_service_that_fails_is_left_alone_for_a_while(service: Service, url: str) -> None:
    service.status = 500
    check = webhook.make(WebhookRule(url), everywhere)
    for _ in range(FAILURES):
        with pytest.raises(webhook.WebhookError):
            await weighed(check)
    with pytest.raises(OpenError):
        await weighed(check)
    assert len(service.questions) == FAILURES


async def test_after_the_pause_one_question_goes_ahead_of_all_others() -> None:
    now, asked, waiting = [0.0], [], asyncio.Event()
    breaker = Breaker(lambda: now[0])

    async def fails() -> str:
        raise ConnectionError

    async def answers() -> str:
        asked.append(now[0])
        await waiting.wait()
        return "yes"

    for _ in range(FAILURES):
        with pytest.raises(ConnectionError):
            await breaker.tried(fails)
    now[0] = PAUSE_SECONDS - 0.1
    with pytest.raises(OpenError):
        await breaker.tried(answers)
    now[0] = PAUSE_SECONDS
    trial = asyncio.create_task(breaker.tried(answers))
    await asyncio.sleep(0)
    with pytest.raises(OpenError):
        await breaker.tried(answers)
    waiting.set()
    assert await trial == "yes"
    assert await breaker.tried(answers) == "yes"
    assert len(asked) == 2


async def test_a_trial_that_is_given_up_lets_the_next_one_try() -> None:
    breaker = Breaker(lambda: 1000.0 * len(tries))
    tries: list[int] = []

    async def fails() -> str:
        tries.append(1)
        raise ConnectionError

    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    async def answers() -> str:
        return "yes"

    for _ in range(FAILURES):
        with pytest.raises(ConnectionError):
            await breaker.tried(fails)
    tries.append(1)
    trial = asyncio.create_task(breaker.tried(never))
    await asyncio.sleep(0)
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    assert await breaker.tried(answers) == "yes"


async def test_a_question_is_signed_and_carries_the_token(tmp_path: Path, service: Service, url: str) -> None:
    key, token = tmp_path / "key", tmp_path / "token"
    key.write_text("signing-key\n")
    token.write_text("first\n")
    check = webhook.make(WebhookRule(url, token_file=str(token), key_file=str(key)), everywhere)
    await weighed(check)
    token.write_text("second\n")
    await weighed(check)
    assert [one["authorization"] for one in service.received] == ["Bearer first", "Bearer second"]
    fields = dict(part.split("=", 1) for part in service.received[0]["x-llmops-signature"].split(","))
    assert abs(int(fields["t"]) - time.time()) < 60
    signed = fields["t"].encode() + b"." + service.bodies[0]
    assert fields["v1"] == hmac.new(b"signing-key", signed, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("content", [None, "\n"], ids=["missing", "empty"])
async def test_without_its_token_nothing_is_asked(
    tmp_path: Path, service: Service, url: str, content: str | None
) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
    with pytest.raises((OSError, webhook.WebhookError)):
        await weighed(webhook.make(WebhookRule(url, token_file=str(token)), everywhere))
    assert service.questions == []


async def test_connections_are_kept(url: str) -> None:
    check = webhook.make(WebhookRule(url), everywhere)
    for _ in range(3):
        await weighed(check)
    (connector,) = (session.connector for session in SESSIONS._open[asyncio.get_running_loop()].values())
    assert connector is not None
    assert sum(map(len, connector._conns.values())) == 1


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """A certificate of a host that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / f"{name}.crt", directory / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    none = serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none))
    return paths


async def test_only_a_certificate_of_the_given_authorities_is_believed(tmp_path: Path, service: Service) -> None:
    crt, key = certificate(tmp_path, "localhost")
    other, _ = certificate(tmp_path, "example.test")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(crt, key)
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 17\r\nconnection: close\r\n\r\n{"action":"Pass"}')
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/judge"
        assert await weighed(webhook.make(WebhookRule(url, authorities_file=str(crt)), everywhere)) == []
        for authorities in (str(other), None):
            with pytest.raises(OSError, match=r"CERTIFICATE_VERIFY_FAILED|certificate"):
                await weighed(webhook.make(WebhookRule(url, authorities_file=authorities), everywhere))
        by_number = url.replace("localhost", "127.0.0.1")
        with pytest.raises(OSError, match="certificate"):
            await weighed(webhook.make(WebhookRule(by_number, authorities_file=str(crt)), everywhere))
    assert len(heads) == 1
    assert service.questions == []


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("0.0.0.0", True),
        ("169.254.169.254", True),
        ("168.63.129.16", True),
        ("224.0.0.1", True),
        ("::1", True),
        ("::", True),
        ("fe80::1", True),
        ("fd00:ec2::254", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:169.254.169.254", True),
        ("10.0.0.7", False),
        ("192.168.1.1", False),
        ("fd12::1", False),
        ("93.184.216.34", False),
        ("2606:2800:220:1::1", False),
    ],
)
def test_what_is_inside(address: str, inside: bool) -> None:  # noqa: FBT001 - a column
    assert is_inside(ipaddress.ip_address(address)) is inside


@pytest.mark.parametrize("host", ["localhost", "2130706433", "127.1"])
async def test_a_name_that_leads_inside_is_not_asked(service: Service, url: str, host: str) -> None:
    inside = url.replace("127.0.0.1", host)
    with pytest.raises((OSError, aiohttp.InvalidURL)):
        await weighed(webhook.make(WebhookRule(inside)))
    assert service.questions == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (WebhookRule("ftp://example.com"), "the url must be http or https with a host"),
        (WebhookRule("https:///judge"), "the url must be http or https with a host"),
        (WebhookRule("https://u:p@example.com"), "without a user's name"),
        (WebhookRule("http://127.0.0.1:8000/v2"), "leads to this pod or its node"),
        (WebhookRule("http://[::1]:9090/drain"), "leads to this pod or its node"),
        (WebhookRule("http://169.254.169.254/latest"), "leads to this pod or its node"),
        (WebhookRule("https://example.com", action=Action.MASK), "the action is Block or Report, not Mask"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(rule: WebhookRule, words: str) -> None:
    with pytest.raises(ContractError, match=f"policy 'p', webhook: .*{words}"):
        compile_policy(Policy(name="p", input=(rule,)))
