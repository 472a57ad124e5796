"""What the engine's tests share: requests, contracts, pieces."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from prometheus_client import CollectorRegistry

from llmops_sidecars.contract import Configuration, Contract, Engine, Limits
from llmops_sidecars.engine.app import EngineApp
from llmops_sidecars.engine.driver import Driver, GenerateRequest, Piece
from llmops_sidecars.openai.chat import ChatRequest, Message

CHAT = "/v1/chat/completions"


def chat(text: str, /, **fields: Any) -> ChatRequest:
    """A chat request with one message."""
    return ChatRequest("chat", (Message("user", text),), **fields)


def generate(text: str, /, *, output_tokens: int = 4096, **fields: Any) -> GenerateRequest:
    """A request to a driver."""
    return GenerateRequest("req-1", chat(text, **fields), output_tokens)


def asked(prompt: str, **fields: Any) -> dict[str, Any]:
    """The body of a request to the engine's application."""
    return {"model": "chat", "messages": [{"role": "user", "content": prompt}], "stream": True, **fields}


def contract(engine: Engine, **limits: Any) -> Contract:
    """A contract around an engine."""
    return Contract("chat", engine, (Configuration("r1"),), Limits(**limits))


@contextlib.asynccontextmanager
async def engine_app(
    engine: Engine, registry: CollectorRegistry | None = None, **limits: Any
) -> AsyncIterator[EngineApp]:
    """The application on an engine, closed at the end."""
    app = EngineApp(registry or CollectorRegistry())
    app.configure(contract(engine, **limits))
    try:
        yield app
    finally:
        await app.close()


async def pieces_of(driver: Driver, request: GenerateRequest) -> list[Piece]:
    """All pieces of an answer."""
    async with contextlib.aclosing(driver.generate(request)) as pieces:
        return [piece async for piece in pieces]


async def stream(*pieces: Piece) -> AsyncGenerator[Piece]:
    """These pieces, as from a driver."""
    for piece in pieces:
        yield piece
