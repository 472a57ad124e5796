from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from llmops_sidecars.fetch import main
from llmops_sidecars.fetch.command import HUB, STOPPED, read_options
from llmops_sidecars.fetch.directory import MARK
from llmops_sidecars.fetch.download import Options
from llmops_sidecars.fetch.errors import FetchError
from llmops_sidecars.fetch.progress import Progress
from tests.sidecars_.cache.kit import Clock
from tests.support.hub import Fault, Repository, running_hub

COMMIT = "0e9e39f249a16976918f6564b8830bc894c89659"
RUN = "import sys; from llmops_sidecars.fetch import main; sys.exit(main(sys.argv[1:]))"


def flags(target: Path, *more: str, repository: str = "acme/tiny", revision: str = COMMIT) -> list[str]:
    return [f"--repository={repository}", f"--revision={revision}", f"--target={target}", *more]


def test_flags_become_options(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hf_secret\n")
    read = read_options(flags(tmp_path, f"--token-file={token}", "--endpoint=http://hub:8080/mirror"))
    assert read == Options("acme/tiny", COMMIT, tmp_path, "http://hub:8080/mirror", "hf_secret")
    assert "hf_secret" not in repr(read)
    assert read_options(flags(tmp_path)) == Options("acme/tiny", COMMIT, tmp_path, HUB)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"revision": "main"}, "'main' is no commit; give its 40 hexadecimal digits: a branch or a tag may change"),
        ({"revision": COMMIT[:12]}, "is no commit"),
        ({"revision": COMMIT.upper()}, "is no commit"),
        ({"repository": "../etc"}, "is no repository; give owner/name"),
        ({"repository": "a/b/c"}, "is no repository"),
        ({"repository": ""}, "is no repository"),
    ],
    ids=lambda value: next(iter(value.values()), "") if isinstance(value, dict) else "",
)
def test_wrong_flags_are_explained(
    tmp_path: Path, wrong: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(flags(tmp_path, **wrong))
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("endpoint", ["hub", "ftp://hub", "http://", "file:///", "http://u:p@hub", "http://hub?a=1"])
def test_an_endpoint_must_be_a_url(tmp_path: Path, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_options(flags(tmp_path, f"--endpoint={endpoint}"))
    assert "is no hub's URL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"", "alone, in one line"), (b"a\nb", "alone, in one line"), (b"\xff\xfe", "not text")],
    ids=["missing", "empty", "two-lines", "binary"],
)
def test_a_bad_token_file_is_said_without_its_content(tmp_path: Path, content: bytes | None, message: str) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    with pytest.raises(FetchError, match=message):
        read_options(flags(tmp_path, f"--token-file={token}"))


def test_progress_is_a_line_with_files_size_rate_and_time() -> None:
    clock = Clock()
    progress = Progress(3, 4_000_000_000, clock)
    progress.advance("a", 1_500_000_000, 500_000_000)
    progress.finished = 1
    clock.now += 10
    assert progress.line() == "1 of 3 files, 1.50 of 4.00 GB (38%), 50.0 MB/s, 10 s"


async def run(*argv: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", RUN, *argv, stdout=asyncio.subprocess.PIPE)


async def test_the_command_fetches_and_says_so(tmp_path: Path) -> None:
    model = Repository("acme/tiny", {"w.safetensors": b"w"})
    async with running_hub(model) as hub:
        process = await run(*flags(tmp_path, f"--endpoint={hub.url}", revision=model.commit))
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert b"complete: 1 of 1 files" in output
    assert (tmp_path / MARK).exists()


async def test_the_commands_last_word_is_the_reason(tmp_path: Path) -> None:
    async with running_hub() as hub:
        process = await run(*flags(tmp_path, f"--endpoint={hub.url}"))
        output, _ = await process.communicate()
    assert process.returncode == 1
    assert b"does not exist or needs a token" in output.splitlines()[-1]


async def test_the_command_ends_when_it_is_told_to(tmp_path: Path) -> None:
    model = Repository("acme/tiny", {"w.safetensors": b"w"})
    async with running_hub(model) as hub:
        hub.faults.extend([Fault.BUSY] * 100)
        process = await run(*flags(tmp_path, f"--endpoint={hub.url}", revision=model.commit))
        assert process.stdout is not None
        while b"attempt 2 follows" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGTERM)
        output, _ = await process.communicate()
    assert process.returncode == STOPPED
    assert b"the next run goes on from here" in output


async def test_the_test_hub_serves_folders_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "root" / "acme" / "tiny"
    folder.mkdir(parents=True)
    (folder / "w.safetensors").write_bytes(b"w")
    program = Path(__file__).parents[2] / "support" / "hub.py"
    arguments = [
        str(program),
        f"--root={tmp_path / 'root'}",
        "--host=127.0.0.1",
        "--port=0",
        "--storage-port=0",
        "--flaky",
    ]
    server = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert server.stdout is not None
        said = json.loads(await server.stdout.readline())
        commit = said["repositories"]["acme/tiny"]
        process = await run(*flags(tmp_path / "model", f"--endpoint={said['url']}", revision=commit))
        output, _ = await process.communicate()
        assert process.returncode == 0, output
    finally:
        server.terminate()
        await server.communicate()
