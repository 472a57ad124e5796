"""The figures as Markdown, and their place in the documentation: between two markers, never edited."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.gateway.plan import RATES
from bench.gateway.summary import UNANSWERED_SHARE

ROOT = Path(__file__).parents[2]
DOCUMENT, README = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
BEGIN, END = "<!-- gateway: begin -->", "<!-- gateway: end -->"
NONE = "-"


def tables(document: Mapping[str, Any]) -> str:
    """All that the documentation says in figures, from the document in `bench/results/gateway.json`."""
    figures = document["figures"]
    found = figures["contenders"]
    parts = [
        _heading(document),
        _table(("milliseconds added", "", *RATE_COLUMNS), [_latency_row(one) for one in found.values()]),
        _table(OTHER_COLUMNS, [_other_row(one) for one in found.values()]),
        _table(TRITON_COLUMNS, [_triton_row(*item) for item in figures["triton"].items()]) if figures["triton"] else "",
        _notes(figures),
    ]
    return "\n\n".join(part for part in parts if part)


RATE_COLUMNS = tuple(f"{what} at {rate}" for rate in RATES for what in ("p50", "p99"))
OTHER_COLUMNS = (
    "per core",
    "",
    "requests/s",
    "requests per CPU second",
    "streamed chunks/s",
    "chunks per CPU second",
    "first token added, ms",
    "CPU ms per 1,000 tokens",
    "memory, MiB",
    "abort until told, ms",
)


TRITON_COLUMNS = ("first token with a real Triton", "milliseconds", "added")


README_RATE = "100/s"
SHORT_COLUMNS = (
    "",
    "",
    f"p50 added at {README_RATE}, ms",
    "requests/s a core",
    "streamed chunks/s a core",
    "first token added, ms",
    "memory, MiB",
)


def short(document: Mapping[str, Any]) -> str:
    """What the README says of it: the medians, without the rows that no gateway made."""
    gateways = [one for one in document["figures"]["contenders"].values() if one["memory_mib"]]
    return _table(SHORT_COLUMNS, [_short_row(one) for one in gateways])


def written(text: str, content: str) -> str:
    """The document with the content between its markers; raises ValueError when it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the markers {BEGIN} and {END} are missing")
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


def write(document: Mapping[str, Any]) -> None:
    """Put the tables into the documentation and the README."""
    for path, content in ((DOCUMENT, tables(document)), (README, short(document))):
        path.write_text(written(path.read_text(encoding="utf-8"), content), encoding="utf-8")


def _heading(document: Mapping[str, Any]) -> str:
    machine, setting = document["machine"], document["figures"]["setting"]
    versions = ", ".join(f"{name} {version}" for name, version in document["figures"]["versions"].items())
    return (
        f"Measured {document['measured'][:10]} on {machine['cores']} cores, {machine['memory_gib']:g} GiB, Linux "
        f"{machine['kernel']}, in {setting['rounds']} rounds; the median of the rounds, in brackets the lowest and the "
        f"highest. Other programs took {setting['foreign_share']:.0%} of the gateways' core meanwhile (the median). "
        f"Versions: {versions}."
    )


def _latency_row(one: Mapping[str, Any]) -> list[str]:
    cells = []
    for rate in RATES:
        added = one["added"].get(rate)
        cells += [_added(added, "p50_ms"), _added(added, "p99_ms")] if added else [NONE, NONE]
    return [one["title"], one["features"], *cells]


def _added(added: Mapping[str, Any], key: str) -> str:
    if added["overloaded"]:
        return "overloaded"
    failed = added["unanswered_share"]
    text = _spread(added[key], "{:.2f}".format)
    return f"{text}, {failed:.0%} not answered" if failed > UNANSWERED_SHARE else text


def _other_row(one: Mapping[str, Any]) -> list[str]:
    memory = [f"{each['now']:.0f}" for each in one["memory_mib"].values()]
    return [
        one["title"],
        one["features"],
        _spread(one["requests_per_second"], "{:,.0f}".format),
        _spread(one["requests_per_cpu_second"], "{:,.0f}".format),
        _spread(one["chunks_per_second"], "{:,.0f}".format),
        _spread(one["chunks_per_cpu_second"], "{:,.0f}".format),
        _spread(one["first_token_added_ms"], "{:.2f}".format),
        _spread(one["cpu_ms_per_1000_tokens"], "{:.1f}".format),
        " + ".join(memory) or NONE,
        "not told" if one["aborts_not_told"] else _spread(one["abort_ms"], "{:.1f}".format),
    ]


def _short_row(one: Mapping[str, Any]) -> list[str]:
    added = one["added"][README_RATE]
    return [
        one["title"],
        one["features"],
        "overloaded" if added["overloaded"] else f"{added['p50_ms']['median']:.1f}",
        f"{one['requests_per_second']['median']:,.0f}",
        f"{one['chunks_per_second']['median']:,.0f}",
        f"{one['first_token_added_ms']['median']:.0f}",
        f"{sum(each['now'] for each in one['memory_mib'].values()):.0f}",
    ]


def _triton_row(name: str, one: Mapping[str, Any]) -> list[str]:
    return [name, *(_spread(one[key], "{:.2f}".format) for key in ("first_token_ms", "added_ms"))]


def _spread(value: Mapping[str, float] | None, form: Callable[[float], str]) -> str:
    if value is None:
        return NONE
    if value["low"] == value["high"]:
        return form(value["median"])
    return f"{form(value['median'])} ({form(value['low'])} to {form(value['high'])})"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _notes(figures: Mapping[str, Any]) -> str:
    notes = [
        f"{one['title']}, {one['features']}: {one['note']}." for one in figures["contenders"].values() if one["note"]
    ]
    notes += [f"Not measured: {name} ({reason})." for name, reason in figures["missing"].items()]
    return "\n".join(f"- {note}" for note in notes)
