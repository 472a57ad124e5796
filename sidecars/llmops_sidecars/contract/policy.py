"""The guard's policy, as data."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from llmops_sidecars.contract.checks import CheckRule
from llmops_sidecars.contract.matching import PatternsRule, PhrasesRule, PiiRule, SecretsRule
from llmops_sidecars.contract.rule import OnError

Rule = CheckRule | PatternsRule | PhrasesRule | PiiRule | SecretsRule


class StreamWindow(Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a streamed answer is held back until it has been checked: characters, and seconds at most."""

    hold_back_characters: int = 256
    hold_back_seconds: float = 0.25


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """The rules for prompts (`input`) and for answers (`output`), in the order in which they run.

    `hash_key_file` holds the key for the action Hash; a policy without one is written as it was before there were keys.
    """

    name: str = ""
    version: str = ""
    on_error: OnError = OnError.CLOSED
    input: tuple[Rule, ...] = ()
    output: tuple[Rule, ...] = ()
    stream: StreamWindow = StreamWindow()
    hash_key_file: str | UnsetType = UNSET
