from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from openai import AsyncOpenAI, BadRequestError, InternalServerError, NotFoundError, OpenAI
from openai.types.chat import ChatCompletionChunk

from llmops_sidecars.__main__ import main
from llmops_sidecars.contract import Action, Configuration, PiiRule, Policy
from tests.sidecars_.main.kit import Sidecars, contract, free_port, sidecars
from tests.support.asgi import eventually

EXIT_SECONDS = 20
IDLE_MEGABYTES = 90


@pytest.fixture(params=[("cache", "guard"), ("serve",)], ids=["two processes", "one process"])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Sidecars]:
    async with sidecars(tmp_path, *request.param) as started:
        yield started


def client(running: Sidecars) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=running.api, api_key="key-1", max_retries=0)


async def ask(running: Sidecars, text: str) -> str:
    async with client(running) as api:
        answer = await api.chat.completions.create(model="chat", messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content or ""


async def test_the_official_client_is_served(running: Sidecars) -> None:
    async with client(running) as api:
        raw = await api.chat.completions.with_raw_response.create(
            model="chat", messages=[{"role": "user", "content": "Hello there, jane@example.com !"}]
        )
        whole = raw.parse()
        assert whole.choices[0].message.content == "Hello there, [EMAIL] !"
        assert whole.choices[0].finish_reason == "stop"
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 4
        assert raw.headers["x-llmops-revision"] == "r1"
        assert running.provider.requests[-1]["messages"][0]["content"] == "Hello there, [EMAIL] !"

        stream = await api.chat.completions.create(
            model="chat",
            messages=[{"role": "user", "content": "Call +49 30 1234567 now"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Call [PHONE] now"
        assert chunks[-1].usage is not None
        assert [model.id async for model in api.models.list()] == ["chat"]
        assert (await api.models.retrieve("chat")).id == "chat"
        with pytest.raises(BadRequestError, match="secrets"):
            await api.chat.completions.create(
                model="chat", messages=[{"role": "user", "content": "AKIAIOSFODNN7EXAMPLE"}]
            )
        with pytest.raises(NotFoundError, match="'chat'"):
            await api.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "x"}])


async def test_the_second_of_two_questions_is_remembered(running: Sidecars) -> None:
    async with client(running) as api:
        outcomes = [
            (
                await api.chat.completions.with_raw_response.create(
                    model="chat", messages=[{"role": "user", "content": "Why is it so?"}]
                )
            ).headers["x-llmops-cache"]
            for _ in range(2)
        ]
    assert outcomes == ["miss", "hit"]


async def test_the_purge_command_makes_it_forget(running: Sidecars, capsys: pytest.CaptureFixture[str]) -> None:
    port = f"--admin-port={running.admin_port}"
    question = "What is to be forgotten?"
    await ask(running, question)
    assert await asyncio.to_thread(main, ["purge", "--revision=nobody", port]) == 0
    assert "purged: 0 answers here; this pod alone" in capsys.readouterr().out
    assert await asyncio.to_thread(main, ["purge", "--all", port]) == 0
    assert "purged: 0" not in capsys.readouterr().out
    assert await asyncio.to_thread(main, ["purge", port]) == 1
    assert "Name what to purge" in capsys.readouterr().err


async def test_a_changed_contract_is_obeyed_without_a_restart(running: Sidecars) -> None:
    assert await ask(running, "to jane@example.com") == "to [EMAIL]"
    policy = Policy("strict", "p2", input=(PiiRule(action=Action.BLOCK),))
    changed = msgspec.structs.replace(contract(running.url), configurations=(Configuration("r2", policy=policy),))
    running.configure(changed)

    async def in_use() -> bool:
        state = msgspec.json.decode((await running.admin("/config"))[1])
        return bool(state["revisions"] == ["r2"] and state["cache"]["digest"] == state["digest"])

    await eventually(in_use)
    with pytest.raises(BadRequestError, match="pii"):
        await ask(running, "to jane@example.com")


async def test_term_ends_no_stream(running: Sidecars) -> None:
    front = running.processes.get("serve") or running.processes["guard"]
    running.provider.gate.clear()
    async with client(running) as api:
        stream = await api.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "word " * 200 + "end"}], stream=True
        )
        pieces = aiter(stream)
        said = (await anext(pieces)).choices[0].delta.content or ""
        front.send_signal(signal.SIGTERM)

        async def not_ready() -> bool:
            return (await running.admin("/readyz"))[0] == 503

        await eventually(not_ready)
        assert await read_on(running, pieces, said) == "word " * 200 + "end"
    assert await asyncio.to_thread(front.wait, EXIT_SECONDS) == 0


async def read_on(running: Sidecars, pieces: AsyncIterator[ChatCompletionChunk], said: str) -> str:
    """Let the provider go on, and read the rest."""
    running.provider.gate.set()
    async for chunk in pieces:
        said += chunk.choices[0].delta.content or ""
    return said


async def test_the_drain_command_makes_the_guard_leave(running: Sidecars) -> None:
    started = time.monotonic()
    command = [sys.executable, "-m", "llmops_sidecars", "drain", f"--admin-port={running.admin_port}"]
    assert (await asyncio.to_thread(subprocess.run, command, check=False)).returncode == 0
    assert time.monotonic() - started < 5
    assert (await running.admin("/readyz"))[0] == 503
    assert await ask(running, "still taken") == "still taken"
    assert (await running.admin("/drained"))[0] == 200


async def test_idle_processes_are_small_and_write_json_without_text(running: Sidecars) -> None:
    await ask(running, "a text that is nowhere else")
    await asyncio.to_thread(ask_synchronously, running)
    front = "serve" if "serve" in running.processes else "guard"

    def outcomes() -> list[str]:
        return [line["outcome"] for line in running.log(front) if line["logger"] == "llmops.access"]

    await eventually(lambda: outcomes() == ["ok", "ok"])
    for name, process in running.processes.items():
        assert resident_megabytes(process.pid) < IDLE_MEGABYTES, name
        assert "nowhere else" not in str(running.log(name))


async def test_a_client_that_speaks_no_http_is_counted(running: Sidecars) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"hello\r\n\r\n")
    assert b"malformed_request" in await reader.read()
    writer.close()
    _, metrics = await running.admin("/metrics")
    assert b'llmops_connections_refused_total{code="malformed_request"} 1.0\n' in metrics


def resident_megabytes(pid: int) -> float:
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) / 1024


def ask_synchronously(running: Sidecars) -> None:
    with OpenAI(base_url=running.api, api_key="key-1") as api:
        said = api.chat.completions.create(model="chat", messages=[{"role": "user", "content": "Hi"}], stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in said) == "Hi"


async def test_a_cache_that_dies_is_a_503_and_comes_back(tmp_path: Path) -> None:
    async with sidecars(tmp_path, "cache", "guard") as running:
        killed = running.processes.pop("cache")
        killed.kill()
        killed.wait()
        with pytest.raises(InternalServerError) as refused:
            await ask(running, "Hello")
        assert refused.value.status_code == 503
        assert refused.value.code == "engine_unavailable"
        running.start("cache")

        async def answered() -> bool:
            try:
                return await ask(running, "Hello") == "Hello"
            except InternalServerError:
                return False

        await eventually(answered, 30)


@pytest.mark.parametrize("command", [[], ["guard"], ["cache"], ["serve"], ["drain"], ["fetch"]])
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["guard", "--port=x"], ["serve", "--socket=x"]])
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_purge_of_nobody_fails_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["purge", "--all", f"--admin-port={free_port()}"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_a_drain_of_nobody_fails_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drain", f"--admin-port={free_port()}"]) == 1
    assert "does not answer" in capsys.readouterr().err
