"""The command `fetch`: flags in, one last line and an exit status out."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from yarl import URL

from llmops_sidecars.fetch.download import Options, fetch
from llmops_sidecars.fetch.errors import FetchError

HUB = "https://huggingface.co"

TERMINATION_LOG = Path("/dev/termination-log")
"""Where Kubernetes looks for a container's last words."""

STOPPED = 143
"""The exit status of a process that ended because of SIGTERM."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")

_log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Run the command with its flags; gives the exit status. Logs are plain lines: people read them."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout, force=True)
    try:
        asyncio.run(_run(read_options(argv)))
    except FetchError as error:
        _log.error("%s", error)
        _leave_word(str(error))
        return 1
    except asyncio.CancelledError:
        _log.info("stopped; the next run goes on from here")
        return STOPPED
    return 0


def read_options(argv: Sequence[str]) -> Options:
    """The flags; ends the process with their usage when they are wrong. Raises FetchError for a bad token file."""
    parser = argparse.ArgumentParser("fetch", description="Fetch one commit of a model from the Hugging Face hub.")
    parser.add_argument("--repository", required=True, type=_repository, help="owner/name")
    parser.add_argument("--revision", required=True, type=_commit, help="the commit: 40 hexadecimal digits")
    parser.add_argument("--target", required=True, type=Path, help="the directory to fill")
    parser.add_argument("--endpoint", default=HUB, type=_endpoint, help="the hub's URL (%(default)s)")
    parser.add_argument("--token-file", type=Path, help="a file with the access token")
    flags = parser.parse_args(argv)
    token = _token(flags.token_file) if flags.token_file else None
    return Options(flags.repository, flags.revision, flags.target, flags.endpoint, token)


async def _run(options: Options) -> None:
    """Fetch until SIGTERM: a container's first process gets no default for it from the kernel."""
    task = asyncio.ensure_future(fetch(options))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


def _repository(value: str) -> str:
    if not _REPOSITORY.fullmatch(value):
        raise argparse.ArgumentTypeError(f"{value!r} is no repository; give owner/name")
    return value


def _commit(value: str) -> str:
    if not _COMMIT.fullmatch(value):
        message = f"{value!r} is no commit; give its 40 hexadecimal digits: a branch or a tag may change at any time"
        raise argparse.ArgumentTypeError(message)
    return value


def _endpoint(value: str) -> str:
    with contextlib.suppress(ValueError):
        url = URL(value)
        if url.scheme in {"http", "https"} and url.host and not url.query_string and not url.user:
            return value
    raise argparse.ArgumentTypeError(f"{value!r} is no hub's URL; give one like {HUB}")


def _token(file: Path) -> str:
    try:
        token = file.read_text("utf-8").strip()
    except OSError as error:
        raise FetchError(f"the token file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FetchError(f"the token file {file} holds no token: it is not text") from error
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        raise FetchError(f"the token file {file} must hold the access token alone, in one line")
    return token


def _leave_word(message: str) -> None:
    """Say it where the pod's status shows it, if this is a pod."""
    if TERMINATION_LOG.exists():
        with contextlib.suppress(OSError):
            TERMINATION_LOG.write_text(message, "utf-8")
