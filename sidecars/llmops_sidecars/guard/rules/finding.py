"""What a rule finds, what it may know, and the form in which it is used: `docs/dev/guard.md` has the table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from llmops_sidecars.contract import Action, OnError

STRENGTH = {action: strength for strength, action in enumerate(Action)}
"""From weak to strong, as they are declared."""

INPUT, OUTPUT = "input", "output"
"""The directions: prompts and answers."""


class Finding(NamedTuple):
    """A place in a text, in characters from `start` to before `end`.

    `rule` is what metrics call the rule, `kind` what it is: an entity, a shape, an author's pattern. `label` stands in
    its place when it is replaced; with `unmask`, a placeholder that becomes the text again in the answer.
    """

    start: int
    end: int
    rule: str
    kind: str
    label: str
    action: Action
    unmask: bool = False


@dataclass(frozen=True)
class Context:
    """What a rule may know of a request beside the text it looks at; it prints without texts.

    `instructions` are the contents of its system and developer messages, `trusted` texts that the author of a template
    wrote and no variable is in. `request` is its id, `tenant` the digest of who sent it, `direction` what the rules are
    for, `policy` the name and version of the policy that they belong to.
    """

    instructions: tuple[str, ...] = field(default=(), repr=False)
    trusted: frozenset[str] = field(default=frozenset(), repr=False)
    request: str = ""
    tenant: str = ""
    direction: str = ""
    policy: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Size:
    """A whole request: how many messages it has, all of its texts, and `said`, the contents of the user's messages.

    Also a whole answer, which has texts alone.
    """

    messages: int
    texts: tuple[str, ...] = field(repr=False)
    said: tuple[str, ...] = field(default=(), repr=False)


Find = Callable[[str], Iterable[Finding]]
"""A text in, findings out, in any order; they may overlap."""

Tail = Callable[[str], int]
"""Where, at the end of a text in its plain form, something begins that may go on; its length when nothing does."""

Measure = Callable[[Size], Iterable[Finding]]
Ask = Callable[[str], Awaitable[Iterable[Finding]]]
Weigh = Callable[[Size], Awaitable[Iterable[Finding]]]
Locate = Callable[[Sequence[str]], Awaitable[Sequence[Iterable[Finding]]]]
"""Texts in, the findings of each of them out."""


def nothing(_text: str) -> Iterable[Finding]:
    """The `find` of a check that looks at something else than single texts."""
    return ()


@dataclass(frozen=True)
class Check:
    """A rule made for use; what it does not need stays as it is.

    `bind`, `bind_tail`, `bind_weigh` and `bind_ask` replace `find`, `tail`, `weigh` and `ask` for each request. `weigh`
    is a `measure` that takes long, of texts as they are forwarded. `locate` is a `find` that takes long: it is awaited
    with all texts of a request or an answer before they are judged, and what it finds is `known` then, text by text,
    None where it failed and may; each request has its own. `weigh`, `locate` and `ask` may take `seconds`. `inside`:
    what `ask` asks is in this process, so that it can be tried without a request. `whole`: `find` makes sense of a
    whole answer only. `as_is`: `find` looks at the text itself, in none of its other forms. `content`: it looks at the
    content of an answer, not at refusals and tool calls. `only`: the direction that it is for, if it is one alone.
    `context`: how many characters before new text `find` wants to see on a stream, and may have held of a tail. `tail`:
    what more than a word, a number or an account `find` may find only when it has come whole; of `longest` characters
    also where the policy holds fewer.
    """

    rule: str
    find: Find = nothing
    bind: Callable[[Context], Find] | None = None
    tail: Tail | None = None
    longest: int = 0
    bind_tail: Callable[[Context], Tail] | None = None
    measure: Measure | None = None
    weigh: Weigh | None = None
    bind_weigh: Callable[[Context], Weigh] | None = None
    ask: Ask | None = None
    bind_ask: Callable[[Context], Ask] | None = None
    locate: Locate | None = None
    known: dict[str, Iterable[Finding] | None] = field(default_factory=dict, repr=False, compare=False)
    inside: bool = False
    seconds: float = 5.0
    whole: bool = False
    as_is: bool = False
    content: bool = False
    only: str = ""
    context: int = 64
    on_error: OnError = OnError.CLOSED
