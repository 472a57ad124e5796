"""The tables of the rules that are judged by cases: one over all of them, and for each what says where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.judgement.markdown import cells, table

TEMPLATES = "templates"
"""What counts where fillings of one template are found or missed together."""

RULES: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "harm": (("harm",), TEMPLATES, ("category", "wording", "language", "length")),
    "topics, denied": (("topics", "denied"), TEMPLATES, ("topic", "wording", "language")),
    "topics, allowed": (("topics", "allowed"), TEMPLATES, ("topic", "wording", "language")),
    "language": (("language",), "texts", ("language", "letters", "form")),
    "unicode": (("unicode",), "texts", ("way", "length", "what is unusual")),
    "urls, denied": (("urls", "kinds and denied domains"), "texts", ("kind",)),
    "urls, allowed": (("urls", "allowed domains"), "texts", ("kind",)),
    "promptLeak": (("leak",), "texts", ("way", "language", "letters")),
    "phrases": (("lists", "phrases"), "texts", ("way", "alphabet")),
    "patterns": (("lists", "patterns"), "texts", ("pattern",)),
}
"""Where the figures of a rule are, what counts, and which groups are shown; all of them are in the results."""


def tables(figures: Mapping[str, Any]) -> list[str]:
    """The table over all rules, then those of each."""
    rows = [
        (name, *cells(_of(figures, name)["found"]["all"]), *cells(_of(figures, name)["false alarms"]["all"]), count)
        for name, (_, count, _) in RULES.items()
    ]
    every = table(("rule", "found, %", "of", "false alarms, %", "of", "counted"), rows)
    return [every, *(part for name in RULES for part in _rule(name, _of(figures, name)))]


def _of(figures: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = figures
    for step in RULES[name][0]:
        found = found[step]
    return found


def _rule(name: str, figures: Mapping[str, Any]) -> list[str]:
    _, count, groups = RULES[name]
    told = [one for one in groups if any(f"by {one}" in side for side in figures.values())]
    return [f"`{name}`", *(_grouped(group, figures, count) for group in told)]


def _grouped(group: str, figures: Mapping[str, Any], count: str) -> str:
    """One group's parts: what was found, and false alarms, as far as each is told apart that way."""
    sides = {"found, %": figures["found"], "false alarms, %": figures["false alarms"]}
    rates = {head: side[f"by {group}"] for head, side in sides.items() if f"by {group}" in side}
    names = dict.fromkeys(name for side in rates.values() for name in side)
    head = [group, *(cell for one in rates for cell in (one, count))]
    return table(head, [[name, *(cell for side in rates.values() for cell in cells(side.get(name)))] for name in names])
