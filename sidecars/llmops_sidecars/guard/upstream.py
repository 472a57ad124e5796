"""The guard's side of the cache: asking for an answer, and telling that one has passed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from llmops_sidecars.contract import Limits
from llmops_sidecars.openai.errors import ApiError, decode_error, engine_failed, engine_timeout, engine_unavailable
from llmops_sidecars.openai.events import EventTooLargeError
from llmops_sidecars.proxy.asgi import Headers
from llmops_sidecars.proxy.deadline import Deadline
from llmops_sidecars.proxy.downstream import (
    Downstream,
    DownstreamCutError,
    DownstreamError,
    DownstreamResponse,
    DownstreamUnavailableError,
    read_response,
)

OK = 200
CHAT_PATH = "/v1/chat/completions"
MOST_ERROR_BYTES = 64 * 1024

GRACE_SECONDS = 2.0
"""The engine's driver keeps the limits and says what was late; this much later the guard does, if nobody did."""

COMMIT_SECONDS = 1.0
"""How long an answer may wait for the cache to take the news that it has passed."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def opened(
    downstream: Downstream, path: str, headers: Headers, body: bytes, limits: Limits
) -> AsyncIterator[DownstreamResponse]:
    """The answer to a request, whatever its status; raises ApiError for all that may go wrong in and below the block.

    Leaving the block before the answer's end cancels the generation.
    """
    try:
        async with AsyncExitStack() as stack:
            with Deadline(limits.first_token_seconds + GRACE_SECONDS):
                response = await stack.enter_async_context(downstream.request("POST", path, headers, body))
            yield response
    except TimeoutError as error:
        raise engine_timeout("its first token", limits.first_token_seconds) from error
    except DownstreamUnavailableError as error:
        raise engine_unavailable() from error
    except (DownstreamCutError, EventTooLargeError) as error:
        raise engine_failed() from error


async def refusal(response: DownstreamResponse) -> ApiError:
    """The error that an answer is."""
    retry_after = response.headers.get("retry-after", "")
    seconds = int(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
    return decode_error(response.status, await read_response(response, MOST_ERROR_BYTES), retry_after=seconds)


async def commit(downstream: Downstream, generation: str) -> None:
    """Tell the cache that an answer has passed; that it cannot be told only costs a hit."""
    try:
        headers = [(b"x-request-id", generation.encode())]
        with Deadline(COMMIT_SECONDS):
            async with downstream.request("POST", "/commit", headers) as response:
                await read_response(response, MOST_ERROR_BYTES)
    except (DownstreamError, TimeoutError):
        _log.warning("the cache could not be told to keep an answer", extra={"generation": generation})
