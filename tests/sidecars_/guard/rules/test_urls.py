from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from llmops_sidecars.contract import Action, ContractError, Policy, StreamWindow, UrlKind, UrlsRule
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.verdict import judge
from tests.sidecars_.guard.streams import HELD, HURRIED, RATES, releases, splits, text_of


def rules(**fields: Any) -> Rules:
    return compile_policy(Policy(output=(UrlsRule(**fields),))).output


ANY = rules()
OURS = {"allow": ("example.com", "*.example.com", "bücher.example", "10.0.0.7")}

FOUND: dict[str, tuple[str, str, str]] = {
    "an address": ("see http://192.0.2.7:80/x.", "see [URL].", "Address"),
    "an address as one number": ("http://2130706433/", "[URL]", "Address"),
    "an address in hexadecimal": ("https://0x7f.1", "[URL]", "Address"),
    "an address of version 6": ("http://[2001:db8::1]/x", "[URL]", "Address"),
    "a name before the host": ("https://example.com@evil.test/x", "[URL]", "UserInfo"),
    "a password before the host": ("https://u:p@evil.test/x", "[URL]", "UserInfo"),
    "a port that is none": ("https://example.com:evil/", "[URL]", "UserInfo"),
    "a quotation mark in a name": ('https://example.com"@evil.test', "[URL]", "UserInfo"),
    "a program": ("click javascript:alert(1) now", "click [URL] now", "Scheme"),
    "a scheme of its own": ("ms-settings://x/y", "[URL]", "Scheme"),
    "a file": ("file:///etc/passwd", "[URL]", "Scheme"),
    "data": ("![x](data:image/png;base64,iVBORw0KGgo=)", "![x]([URL])", "Data"),
    "a look-alike in Punycode": ("https://xn--80ak6aa92e.com/", "[URL]", "LookAlike"),
    "a look-alike as it looks": ("https://p\u0430ypal.com/x", "[URL]", "LookAlike"),
    "an image": ("![a chart](https://evil.test/i.png?q=secret)", "![a chart]([URL])", "Image"),
    "an image with brackets in it": ("![a [b] c](https://evil.test/x(1).png)", "![a [b] c]([URL])", "Image"),
    "an image in a link": ("[![a](https://evil.test/i)](https://b.test)", "[![a]([URL])](https://b.test)", "Image"),
    "an image without a scheme": ("![a](//evil.test/i.png)", "![a]([URL])", "Image"),
    "an image by a reference": ("![a][1]\n\n[1]: https://evil.test/i.png", "![a][1]\n\n[1]: [URL]", "Image"),
    "an image in angle brackets": ("![a](<https://evil.test/i.png>)", "![a](<[URL]>)", "Image"),
    "an image of HTML": ("<img alt='x' src=\"https://evil.test/i\">", "<img alt='x' src=\"[URL]\">", "Image"),
    "a style": (
        "<p style=\"background: url('https://evil.test/i')\">",
        "<p style=\"background: url('[URL]')\">",
        "Image",
    ),
    "an image of a long description": (f"![{'long ' * 90}](https://evil.test/i)", f"![{'long ' * 90}]([URL])", "Image"),
    "an image in base64": (
        f"a {base64.b64encode(b'and ![a](https://evil.test/image?q=1) too').decode()} b",
        "a [URL] b",
        "Image",
    ),
}

HARMLESS = {
    "no link": "Hello, world! A ratio of 3:4, a // comment, C:\\Users\\me, and http: alone.",
    "a link in a sentence": "See https://example.com/a(b)c?x=1#y, or (https://other.test/z)!",
    "a link of Markdown": "Read [the manual](https://docs.test/a_b) and <https://docs.test>.",
    "an address of mail": "Write to mailto:jane@example.com or jane@example.com.",
    "another alphabet": "https://münchen.de https://пример.рф https://例え.jp/道",
    "a link in JSON": '{"url":"https:\\/\\/example.com\\/x","mail":"a@b.test"}',
    "a port": "http://localhost:8080/x and https://example.com:443",
    "a footnote": "It is so [1].\n[1] https://example.com/paper",
}

LISTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "only ours": (
        OURS,
        "https://example.com/x https://a.b.example.com:8443 https://BÜCHER.example. http://10.0.0.7/ www.example.com",
        "https://example.com/x https://a.b.example.com:8443 https://BÜCHER.example. http://10.0.0.7/ www.example.com",
    ),
    "an image of ours": (OURS, "![i](https://example.com/i.png)", "![i](https://example.com/i.png)"),
    "not ours": (
        OURS,
        "https://example.com.evil.test www.evil.test https://evilexample.com mailto:a@evil.test",
        "[URL] [URL] [URL] [URL]",
    ),
    "ours in another's": (OURS, "https://evil.test/https://example.com", "[URL]"),
    "another's in ours": (
        OURS,
        "https://example.com/?to=https://evil.test",
        "https://example.com/?to=https://evil.test",
    ),
    "written carelessly": (
        OURS,
        "https:evil.test https:/evil.test https:\\\\evil.test HTTPS://EVIL.test",
        "[URL] [URL] [URL] [URL]",
    ),
    "a backslash before a name": (OURS, "https://evil.test\\@example.com", "[URL]"),
    "an encoded host": (OURS, "https://%65vil.test/", "[URL]"),
    "full-width": (OURS, "https://ｅｖｉｌ。test/", "[URL]"),
    "a final dot": (OURS, "https://example.com./x", "https://example.com./x"),
    "denied": (
        {"deny": ("evil.test",)},
        "https://evil.test/x evil.test x@evil.test notevil.test a.evil.test evil.test.org EVIL.test.",
        "[URL] [URL] x@evil.test notevil.test a.evil.test evil.test.org [URL].",
    ),
    "denied below": (
        {"deny": ("*.evil.test",)},
        "https://a.evil.test/ b.c.evil.test evil.test",
        "[URL] [URL] evil.test",
    ),
    "another scheme": (
        {"schemes": ("https", "postgres")},
        "http://a.test postgres://a.test/db",
        "[URL] postgres://a.test/db",
    ),
    "kinds left out": (
        {"kinds": (UrlKind.IMAGE,)},
        "http://192.0.2.7 javascript:x https://u@a.test data:text/html,x ![i](https://a.test/)",
        "http://192.0.2.7 javascript:x https://u@a.test data:text/html,x ![i]([URL])",
    ),
}


@pytest.mark.parametrize(("text", "masked", "kind"), FOUND.values(), ids=FOUND)
def test_a_dangerous_link_is_found(text: str, masked: str, kind: str) -> None:
    verdict = judge(text, ANY)
    assert verdict.text == masked
    assert verdict.counts == {("urls", kind, "Mask"): 1}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_link_passes(text: str) -> None:
    assert judge(text, ANY).text == text


@pytest.mark.parametrize(("fields", "text", "masked"), LISTS.values(), ids=LISTS)
def test_the_lists_decide(fields: dict[str, Any], text: str, masked: str) -> None:
    assert judge(text, rules(**fields)).text == masked


@pytest.mark.parametrize("action", [Action.BLOCK, Action.REPORT])
def test_a_link_is_blocked_or_reported(action: Action) -> None:
    verdict = judge("An ![i](https://evil.test/i).", rules(action=action))
    assert verdict.counts == {("urls", "Image", action.value): 1}
    assert verdict.text == ("An ![i](" if action is Action.BLOCK else "An ![i](https://evil.test/i).")


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("bounds", [HELD, HURRIED], ids=["held", "hurried"])
@pytest.mark.parametrize("text", [row[0] for row in FOUND.values()], ids=FOUND)
def test_a_stream_gives_what_the_whole_text_would(text: str, bounds: StreamWindow, rate: float) -> None:
    around = f"So: {text} and more."
    for pieces in splits(around):
        assert text_of(releases(pieces, ANY, bounds, rate)) == judge(around, ANY).text, pieces


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize(("fields", "text"), [row[:2] for row in LISTS.values()], ids=LISTS)
def test_a_stream_obeys_the_lists(fields: dict[str, Any], text: str, rate: float) -> None:
    chosen = rules(**fields)
    for pieces in splits(text):
        assert text_of(releases(pieces, chosen, HURRIED, rate)) == judge(text, chosen).text, pieces


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
def test_a_long_link_is_masked_as_one(rate: float) -> None:
    text = f"An ![i](https://evil.test/?q={'x' * 3000}) and more."
    pieces = [text[place : place + 50] for place in range(0, len(text), 50)]
    assert text_of(releases(pieces, ANY, HELD, rate)) == "An ![i]([URL]) and more."


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"allow": ("https://example.com",)}, r"urls\.allow: 'https://example.com' is no domain"),
        ({"deny": ("a b",)}, r"urls\.deny: 'a b' is no domain"),
        ({"deny": ("",)}, r"urls\.deny: '' is no domain"),
        ({"action": Action.HASH}, "urls: the action is Block, Mask or Report, not Hash"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        rules(**fields)


@pytest.mark.parametrize(
    "text",
    ["www." * 50_000, '](http:a"' * 20_000, "http:a" + ")" * 200_000, "<img http:a<" * 15_000, "https://" * 25_000],
    ids=["dots", "destinations", "brackets", "elements", "schemes"],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    judge(text, rules(**OURS))
    assert time.process_time() - started < 5
