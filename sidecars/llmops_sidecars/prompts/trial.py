"""A template tried by its author: values from a command line in, messages out, for a terminal or a program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from llmops_sidecars.contract import ContractError, Message, Template, VariableType, decode
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.prompts.render import Neutralise, render
from llmops_sidecars.prompts.values import Value

RENDERED, REFUSED, UNUSABLE = 0, 1, 2


@dataclass(frozen=True)
class Outcome:
    """What is printed; `status`: 0 rendered, 1 a value is refused, 2 there is nothing to render."""

    text: str
    error: str
    status: int


def run(contract: Path, settings: Sequence[str], output: str, neutralise: Neutralise) -> Outcome:
    """Render the only template of a contract's document with settings such as `name=value`."""
    wrong = next((one for one in settings if "=" not in one), None)
    if wrong is not None:
        return Outcome("", f"--set {wrong}: give NAME=VALUE", UNUSABLE)
    try:
        (template,) = decode(contract.read_bytes()).configurations[0].templates
        values = values_of(template, settings)
        messages = render(template, values, neutralise)
    except (OSError, ContractError) as error:
        return Outcome("", f"{contract}: {error}", UNUSABLE)
    except ApiError as error:
        return Outcome("", error.body.message, REFUSED)
    return Outcome(_TEXTS[output](messages), "", RENDERED)


def values_of(template: Template, settings: Iterable[str]) -> dict[str, Value]:
    """The values that settings say, in the types of their variables; of those given twice a list has both."""
    types = {variable.name: variable.type for variable in template.variables}
    given: dict[str, list[str]] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        given.setdefault(name, []).append(text)
    return {name: _value(types.get(name, VariableType.STRING), texts) for name, texts in given.items()}


def _value(kind: VariableType, texts: list[str]) -> Value:
    """What a text stands for; one that is not of the type stays a text, which rendering refuses by name."""
    if kind is VariableType.LIST:
        return texts
    text = texts[-1]
    if kind in {VariableType.STRING, VariableType.ENUM}:
        return text
    try:
        found = msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        return text
    return found if isinstance(found, int | float) else text


def _plain(messages: Sequence[Message]) -> str:
    return "\n\n".join(f"[{_speaker(message)}]\n{message.content}".rstrip("\n") for message in messages)


def _speaker(message: Message) -> str:
    calls = ", ".join(f"calls {call.name} ({call.id}) with {call.arguments}" for call in message.tool_calls)
    answers = f"answers {message.tool_call_id}" if message.tool_call_id else ""
    return " ".join(part for part in (message.role, calls, answers) if part)


def _json(messages: Sequence[Message]) -> str:
    return msgspec.json.format(msgspec.json.encode(messages), indent=2).decode()


_TEXTS = {"text": _plain, "json": _json}
