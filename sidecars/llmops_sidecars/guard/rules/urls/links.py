"""Links in a text, as browsers and Markdown's renderers find them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import re2

from llmops_sidecars.guard.rules.scan import options
from llmops_sidecars.guard.rules.urls.hosts import Domains

SIGHT = 576
"""Characters before a URL in which the beginning of the image that it belongs to is looked for."""

GOES_ON = r"(?:[^\s<>\"'\x60]|[\"'\x60](?:[^\s<>/?#,:;\])}@][^\s<>/?#]*)?@)"
"""Of a URL; a quotation mark ends it, unless browsers would take it as part of a user's name."""

LINK = re2.compile(
    rf"(?i)(?:\b(?P<lenient>(?:https?|ftp|wss?|file):[\\/]*)"  # browsers take one slash, none, and the wrong ones
    r"|\b(?P<other>[a-z][a-z0-9+.\-]{1,30}:(?:\\?/){2,})"
    r"|\b(?P<opaque>(?:mailto|tel|sms|javascript|vbscript|blob|magnet|intent):)"
    r"|\b(?P<data>data:(?:[a-z]+/[a-z0-9.+\-]+(?:;[a-z0-9=.\-]+)*|(?:;[a-z0-9=.\-]+)+),)"
    r"|\b(?P<bare>)www\."
    rf"|(?:\]\(\s*<?|=\s*[\"']?)(?P<relative>[\\/]{{2}})){GOES_ON}+",
    options(),
)

GROUPS: dict[str, int] = LINK.groupindex
WITHOUT_SCHEME = frozenset({"bare", "relative"})

UNFINISHED = re2.compile(r"(?i)(?:\b[a-z][a-z0-9+.\-]{0,30}:|\bwww\.|[\\/]{2})\S*$", options())
REFERENCE = re2.compile(r"(?:^|\n) {0,3}\[[^\]\n]+\]:\s*<?$", options())
DESTINATION = re2.compile(r"\]\(\s*<?$", options())
ELEMENT = re2.compile(
    r"(?is)<(?:img|image|source|picture|video|audio|iframe|embed|object|input|link|script)\b[^<>]*<?$", options()
)
STYLE = re2.compile(r"\burl\(\s*[\"']?$", options())

PUNCTUATION = ".,;:!?'\"*_~`"
"""What ends a sentence rather than a URL."""

BRACKETS = ((")", "("), ("]", "["), ("}", "{"))


@dataclass(frozen=True)
class Link:
    """A URL: where it stands, its scheme in lower case, and what follows scheme and slashes; it prints nothing else."""

    start: int
    end: int
    scheme: str
    rest: str

    def __repr__(self) -> str:
        """Without the URL."""
        return f"Link({self.start}, {self.end})"


def links(text: str) -> Iterator[Link]:
    """The links of a text, in order and apart."""
    taken = 0
    for found in LINK.finditer(text):
        kind = found.lastgroup
        start, after = found.start(GROUPS[kind]), found.end(GROUPS[kind])
        if start < taken:
            continue
        end = _end_of_destination(text, start) or _trimmed(text, start, found.end())
        scheme = "" if kind in WITHOUT_SCHEME else text[start:after].partition(":")[0].lower()
        rest = text[after:end]
        if rest.strip("/\\") or scheme == "data":
            taken = max(end, after)
            yield Link(start, taken, scheme, rest)


def is_image(text: str, link: Link) -> bool:
    """Whether it is fetched without a click: `![alt](url)`, a reference `[name]: url`, an element of HTML."""
    before = text[max(link.start - SIGHT, 0) : link.start]
    if before.rfind("<", 0, -1) > before.rfind(">") and ELEMENT.search(before):
        return True
    lead = before.rstrip(" \t\n<\"'")[-1:]
    if lead == ":":
        return REFERENCE.search(before) is not None
    if lead != "(":
        return False
    return STYLE.search(before) is not None or (DESTINATION.search(before) is not None and _opening(before) != "[")


def unfinished(text: str) -> int:
    """Where a URL begins that the end of a text may be in the middle of."""
    found = UNFINISHED.search(text)
    return len(text) if found is None else int(found.start())


def places(domains: Domains) -> Callable[[str], Iterator[tuple[int, int]]]:
    """A function that finds domains where no link is around them."""
    if not domains:
        return lambda _: iter(())
    pattern = re2.compile(domains.pattern(), options())

    def find(text: str) -> Iterator[tuple[int, int]]:
        for found in pattern.finditer(text):
            if _stands_alone(text, found.start(), found.end()):
                yield found.start(), found.end()

    return find


def _trimmed(text: str, start: int, end: int) -> int:
    """The end without what follows a URL in a sentence: punctuation, and brackets that were opened before it."""
    surplus = {closing: text.count(closing, start, end) - text.count(one, start, end) for closing, one in BRACKETS}
    while end > start and (text[end - 1] in PUNCTUATION or surplus.get(text[end - 1], 0) > 0):
        end -= 1
        if text[end] in surplus:
            surplus[text[end]] -= 1
    return end


def _end_of_destination(text: str, start: int) -> int:
    """Where Markdown's renderers end a link's destination: at a space, or a bracket that it did not open; or 0."""
    if "(" not in text[max(start - 3, 0) : start] or DESTINATION.search(text[max(start - 8, 0) : start]) is None:
        return 0
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if text[place].isspace() or text[place] in "<>" or depth < 0:
            return place
    return len(text)


def _opening(before: str) -> str:
    """What opened the brackets that have just been closed: `[` of a link, or `![`, also when it is out of sight."""
    depth = 0
    for place in range(before.rindex("]("), -1, -1):
        depth += (before[place] == "]") - (before[place] == "[")
        if depth == 0:
            return "![" if before[place - 1 : place] == "!" else "["
    return "!["


def _stands_alone(text: str, start: int, end: int) -> bool:
    """No part of a longer name, nor of an address of mail."""
    before, after = text[start - 1 : start], text[end : end + 2]
    return not (before.isalnum() or before in {"@", ".", "-", "_"}) and not (
        after[:1].isalnum() or after[:1] in {"-", "_"} or (after[:1] == "." and after[1:].isalnum())
    )
