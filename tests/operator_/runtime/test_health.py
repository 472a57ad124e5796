from __future__ import annotations

import aiohttp
import pytest

from llmops_operator.runtime.health import served


async def get(url: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text(), answer.content_type


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [("/healthz", 200, "ok\n"), ("/readyz", 503, "not yet\n"), ("/metrics", 200, "a 1\n"), ("/debug", 404, None)],
)
async def test_health_readiness_and_metrics_on_one_port(path: str, status: int, text: str | None) -> None:
    async with served(0, lambda: None, lambda: "not yet", lambda: b"a 1\n") as port:
        found = await get(f"http://127.0.0.1:{port}{path}")
    assert (found[0], found[2]) == (status, "text/plain")
    assert text in (None, found[1])


async def test_an_unwell_process_says_why() -> None:
    async with served(0, lambda: "the watches are silent", lambda: None, lambda: b"") as port:
        assert (await get(f"http://127.0.0.1:{port}/healthz"))[:2] == (503, "the watches are silent\n")
