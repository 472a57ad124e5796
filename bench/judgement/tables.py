"""The figures as Markdown, and their place in `docs/judgement.md`: between two markers, never edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.judgement import rule_tables
from bench.judgement.markdown import cells, share, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "judgement.md"
BEGIN, END = "<!-- judgement: begin -->", "<!-- judgement: end -->"


def tables(document: Mapping[str, Any]) -> str:
    """All that the documentation says in figures, from `bench/results/judgement.json`."""
    figures = document["figures"]
    return "\n\n".join(
        [
            (
                f"Measured {_dates(figures['measured'])} with Python {document['machine']['python']}, kernel"
                f" {document['machine']['kernel']}, {document['machine']['cores']} cores."
            ),
            _goals(document["goals"]),
            "### Injection",
            *_injection(figures["injection"]),
            "### Personal data and secrets",
            *_pii(figures["pii"]),
            "### The other rules",
            *rule_tables.tables(figures),
            "### Time and memory",
            *_speed(figures["speed"]),
        ]
    )


def written(text: str, content: str) -> str:
    """The document with the content between its markers; raises ValueError when it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the markers {BEGIN} and {END} are missing")
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


def write(document: Mapping[str, Any], path: Path = DOCUMENT) -> None:
    """Put the tables into the documentation."""
    path.write_text(written(path.read_text(encoding="utf-8"), tables(document)), encoding="utf-8")


def _dates(measured: Mapping[str, str]) -> str:
    """When, and what of it, where that was not all at once."""
    parts: dict[str, list[str]] = {}
    for part, date in measured.items():
        parts.setdefault(date, []).append(part)
    return (
        "; ".join(f"{date} ({', '.join(parts[date])})" for date in sorted(parts))
        if len(parts) > 1
        else next(iter(parts))
    )


def _goals(goals: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (goal["name"], f"{goal['value']:g} {goal['unit']}".strip(), goal["goal"], "yes" if goal["met"] else "**no**")
        for goal in goals
    ]
    return table(("goal", "measured", "wanted", "met"), rows)


def _rates(title: str, rates: Mapping[str, Any], what: str) -> str:
    return table((title, what, "texts"), [(name, share(one), str(one["of"])) for name, one in rates.items()])


def _injection(figures: Mapping[str, Any]) -> list[str]:
    recall, alarms, over = figures["recall"], figures["false alarms"], figures["over-defence"]
    return [
        _rates("attacks, by form", recall["by form"], "found, %"),
        _both("kind of attack", recall, "kind"),
        _both("language", recall, "language", alarms["ordinary, by language"]),
        table(
            ("characters", "attacks found, %", "texts", "false alarms, %", "texts"),
            [
                (name, *cells(recall["by length"].get(name)), *cells(one))
                for name, one in alarms["ordinary, by length"].items()
            ],
        ),
        _rates("harmless texts", {"ordinary": alarms["ordinary"], **over["by form"]}, "taken for attacks, %"),
    ]


def _both(title: str, recall: Mapping[str, Any], by: str, alarms: Mapping[str, Any] | None = None) -> str:
    """Raw and wrapped side by side, and false alarms where they are told apart that way."""
    raw, wrapped = recall[f"raw, by {by}"], recall[f"wrapped, by {by}"]
    head = [title, "raw found, %", "texts", "wrapped found, %", "texts"]
    rows = [[name, *cells(one), *cells(wrapped.get(name))] for name, one in raw.items()]
    if alarms is not None:
        head += ["false alarms, %", "texts"]
        rows = [[*row, *cells(alarms.get(row[0]))] for row in rows]
    return table(head, rows)


def _pii(figures: Mapping[str, Any]) -> list[str]:
    ours, theirs = figures["pii"], figures["presidio"]
    rows = [
        (name, share(one), share(theirs["recall by entity"][name]), str(one["of"]))
        for name, one in (ours["recall by entity"]).items()
    ]
    rows.append(("all of these", share(ours["recall"]), share(theirs["recall"]), str(ours["recall"]["of"])))
    rows.append(
        (
            "PostalAddress, by itself",
            share(figures["pii, postal addresses"]["recall"]),
            share(figures["presidio, postal addresses"]["recall"]),
            str(figures["pii, postal addresses"]["recall"]["of"]),
        )
    )
    versions = ", ".join(f"{name} {version}" for name, version in theirs["versions"].items())
    sums = [
        ("F2", f"{ours['f2']:.3f}", f"{theirs['f2']:.3f}"),
        ("harmless texts with a finding, %", share(ours["false alarms"]), share(theirs["false alarms"])),
        ("false findings", str(ours["false findings"]), str(theirs["false findings"])),
        ("seconds of processor time", *(f"{figures['seconds'][one]:.2f}" for one in ("pii", "presidio"))),
    ]
    secrets = figures["secrets"]
    return [
        f"Beside the default analyzer of {versions}:",
        table(("entity", "pii found, %", "Presidio found, %", "places"), rows),
        table(("", "pii", "Presidio"), sums),
        (
            f"`secrets`: found {share(secrets['recall'])} % of {secrets['recall']['of']} keys; on"
            f" {secrets['false alarms']['of']} harmless texts {share(secrets['false alarms'])} % false alarms."
        ),
    ]


def _speed(figures: Mapping[str, Any]) -> list[str]:
    single = [
        (name, f"{one['p50_ms']:.3f}", f"{one['p99_ms']:.3f}")
        for name, one in figures.items()
        if name.startswith("injection") and isinstance(one, Mapping)
    ]
    stages = {name: one for name, one in figures.items() if name.startswith("rules")}
    rows = [
        (f"{stage}: {name}", f"{one['p50_ms']:.3f}", f"{one['p99_ms']:.3f}")
        for stage, rules in stages.items()
        for name, one in rules.items()
    ]
    memory = figures["injection, MiB of memory once loaded"]
    return [
        table(("milliseconds of processor time", "p50", "p99"), [*single, *rows]),
        f"The classifier takes {memory} MiB once it is loaded, at the first text that is judged.",
    ]
