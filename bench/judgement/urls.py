"""What the rule urls finds of bad links in prose and markup, and of links that are good and what is no link.

One policy has no domains that are allowed, but some that are denied; another one allows a domain and those below it.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from typing import Any

from bench.judgement.cases import Case, judged, kinds, rules_of
from llmops_sidecars.contract import Action, UrlsRule

SEED, EACH = 714, 40
DENY, ALLOW = ("casino-royal.test", "*.casino-royal.test"), ("harbour.example", "*.harbour.example")
WORDS = ("river", "lamp", "north", "cedar", "quiet", "tailor", "orbit", "velvet", "maple", "stone")
ENDINGS = ("com", "org", "net", "io", "de", "co.uk")

FRAMES = {
    "prose": "The details are at {url} if you want to read more.",
    "end of a sentence": "Everything is explained on {url}.",
    "brackets": "More ({url}) is online.",
    "Markdown": "Please [open the form]({url}) today.",
    "HTML": '<p>Please <a href="{url}">open the form</a> today.</p>',
    "JSON": '{{"title": "Form", "link": "{url}", "ok": true}}',
    "angle brackets": "See <{url}>",
}
Make = Callable[[random.Random], str]


def _host(chance: random.Random) -> str:
    return f"{chance.choice(WORDS)}-{chance.choice(WORDS)}.{chance.choice(ENDINGS)}"


def _path(chance: random.Random) -> str:
    return f"/{chance.choice(WORDS)}/{chance.randint(1, 999)}?{chance.choice(WORDS)}={chance.randint(1, 99)}"


def _good(chance: random.Random) -> str:
    return f"https://{_host(chance)}{_path(chance)}"


def _number(chance: random.Random) -> str:
    """An address of version 4 or 6, in one of the notations that browsers take."""
    whole = chance.randint(0x0B000000, 0xDEFFFFFF)
    parts = [whole >> shift & 255 for shift in (24, 16, 8, 0)]
    return chance.choice(
        (
            ".".join(map(str, parts)),
            str(whole),
            hex(whole),
            ".".join(map(hex, parts)),
            ".".join(f"0{part:o}" for part in parts),
            f"[2001:db8::{whole & 0xFFFF:x}]",
            f"{parts[0]}.{whole & 0xFFFFFF}",
        )
    )


def _fake(chance: random.Random) -> str:
    """A name with a Cyrillic letter for a Latin one, as it is or in Punycode."""
    word = chance.choice(("river", "cedar", "orbit", "maple", "stone", "velvet"))
    place = chance.choice([place for place, letter in enumerate(word) if letter in "aecopi"])
    label = word[:place] + word[place].translate(str.maketrans("aecopi", "аесорі")) + word[place + 1 :]
    return f"{label if chance.random() < 0.5 else 'xn--' + label.encode('punycode').decode()}.com"


def _denied(chance: random.Random) -> str:
    host = chance.choice(("casino-royal.test", "www.casino-royal.test", "Casino-Royal.TEST", "play.casino-royal.test."))
    scheme = chance.choice(("https://", "http://", "//", "https:\\\\", "HTTPS:/"))
    return f"{scheme}{host}{chance.choice(('', ':8443'))}{_path(chance)}"


BAD: dict[str, Make] = {
    "Scheme": lambda chance: chance.choice(
        (
            f"javascript:open('{_host(chance)}')",
            f"file:///home/{chance.choice(WORDS)}/notes.txt",
            f"ftp://{_host(chance)}{_path(chance)}",
            f"smb://{_host(chance)}/share",
            f"vbscript:msgbox({chance.randint(1, 99)})",
            f"intent://{_host(chance)}#Intent;scheme=http;end",
        )
    ),
    "Address": lambda chance: f"http://{_number(chance)}{chance.choice(('', ':8080'))}{_path(chance)}",
    "UserInfo": lambda chance: (
        f"https://{chance.choice(('www.mybank.example', 'login', 'user:secret'))}@{_host(chance)}{_path(chance)}"
    ),
    "LookAlike": lambda chance: f"https://{_fake(chance)}{_path(chance)}",
    "Data": lambda chance: f"data:text/html;base64,{base64.b64encode(chance.randbytes(30)).decode()}",
    "Domain": _denied,
}
IMAGES = (
    "![chart]({url})",
    "Done! ![]( {url} )",
    '<img alt="x" src="{url}">',
    "<img src={url} width=1>",
    "![chart][c]\n\n[c]: {url}",
    '<source srcset="{url}">',
)
OFF_LIST: dict[str, Make] = {
    "another domain": _good,
    "as a part of another name": lambda chance: f"https://harbour.example.{_host(chance)}/",
    "behind another name": lambda chance: f"https://{chance.choice(WORDS)}harbour.example{_path(chance)}",
    "in the path": lambda chance: f"https://{_host(chance)}/harbour.example{_path(chance)}",
    "as a user": lambda chance: f"https://harbour.example@{_host(chance)}/",
    "without a scheme": lambda chance: f"www.{_host(chance)}{_path(chance)}",
}
ON_LIST: dict[str, Make] = {
    "the domain": lambda chance: f"https://harbour.example{_path(chance)}",
    "below it": lambda chance: f"https://{chance.choice(WORDS)}.harbour.example{_path(chance)}",
    "in capitals, with a port": lambda chance: f"HTTPS://Harbour.Example:443{_path(chance)}",
    "with a dot": lambda chance: f"https://harbour.example.{_path(chance)}",
}
NO_LINKS = (
    "Version 1.2.3.4 of the library fixes issue 12:30, see README.md and setup.py.",
    "note: this happens at 09:15; e.g. in Node.js, ASP.NET or std::vector<int>::size().",
    "C:\\Users\\anna\\notes.txt and /usr/local/bin/python are paths, com.example.app is a package.",
    "Write to anna.meier@harbour.test or call extension 12/34.",
    "ratio 3:2, a://b is no link of mine? The host 10.0.0.1 answered on port 8080.",
    "key:value pairs such as color:red;width:10px; or data: none, file: missing",
    "{'url': None, 'images': []} -> foo.bar(baz) and x = y[0]",
    "mailto is a scheme, javascript a language and magnet a thing on the fridge.",
)


def measure() -> dict[str, Any]:
    """By kind and by markup, for each of the policies."""
    denying = rules_of(UrlsRule(deny=DENY, action=Action.REPORT))
    allowing = rules_of(UrlsRule(allow=ALLOW, action=Action.REPORT))

    def hit(case: Case) -> bool:
        found = kinds(case.text, denying)
        return case.groups["kind"] in found if case.wanted else bool(found)

    return {
        "kinds and denied domains": judged(_denying(), hit),
        "allowed domains": judged(_allowing(), lambda case: bool(kinds(case.text, allowing))),
    }


def cases() -> list[Case]:
    """Those of both policies."""
    return [*_denying(), *_allowing()]


def _denying() -> Iterator[Case]:
    chance = random.Random(SEED)
    for kind, make in BAD.items():
        yield from _framed(make, {"kind": kind}, chance, wanted=True)
    for number in range(EACH * len(IMAGES) // 4):
        text = IMAGES[number % len(IMAGES)].format(url=_good(chance))
        yield Case(text, True, {"kind": "Image", "markup": IMAGES[number % len(IMAGES)].split("{")[0].strip(" [(\"'=")})
    yield from _framed(_good, {"kind": "a link"}, chance, wanted=False)
    for text in NO_LINKS:
        yield Case(text, False, {"kind": "no link"})


def _allowing() -> Iterator[Case]:
    chance = random.Random(SEED)
    for wanted, table in ((True, OFF_LIST), (False, ON_LIST)):
        for kind, make in table.items():
            yield from _framed(make, {"kind": kind}, chance, wanted=wanted)
    for number in range(EACH):
        url = ON_LIST["the domain"](chance)
        yield Case(IMAGES[number % len(IMAGES)].format(url=url), False, {"kind": "an image of the domain"})
    for text in NO_LINKS:
        yield Case(text, False, {"kind": "no link"})


def _framed(make: Make, groups: dict[str, str], chance: random.Random, *, wanted: bool) -> Iterator[Case]:
    for number in range(EACH):
        name = list(FRAMES)[number % len(FRAMES)]
        yield Case(FRAMES[name].format(url=make(chance)), wanted, {**groups, "markup": name})
