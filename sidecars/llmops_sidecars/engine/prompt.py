"""Messages as one text, for engines that take no messages."""

from __future__ import annotations

from collections.abc import Iterable

from llmops_sidecars.openai.chat import Message, message_text


def prompt_text(messages: Iterable[Message]) -> str:
    """The contents in their order, a blank line between them; roles are not written, empty contents are left out."""
    return "\n\n".join(text for text in map(message_text, messages) if text)
