from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmops_sidecars.contract import (
    Action,
    OnError,
    Pattern,
    PatternsRule,
    PhrasesRule,
    PiiRule,
    Policy,
    Rule,
    SecretsRule,
    StreamWindow,
)
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.rules.finding import Check, Finding
from llmops_sidecars.guard.vault import Vault
from llmops_sidecars.guard.verdict import RuleError, judge
from llmops_sidecars.guard.window import LEAST_TAIL, MOST_HELD, Release, WholeText, Window
from tests.sidecars_.guard.rules.kit import PATTERNED
from tests.sidecars_.guard.streams import HELD, HURRIED, RATES, releases, splits, text_of

PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA\n" * 40 + "-----END RSA PRIVATE KEY-----"
FORBIDDEN = {
    "e-mail": "jane.doe@example.com",
    "phone": "+49 30 1234567",
    "national phone": "030 1234567",
    "bracketed phone": "(202) 555-0143",
    "styled phone": "202\u2011555\u20110143",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "iban with letters": "GB82 WEST 1234 5698 7654 32",
    "ip": "192.168.10.7",
    "ipv6": "2001:db8::8a2e:370:7334",
    "key": "sk-Ab3dEf6hIj9lMn2pQr5tUv8xYz1c",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4",
    "pattern": "zebra",
    "national id": "529.982.247-25",
    "national id with letters": "RSSMRA85T10A562S",
    "national id in groups": "2345 6789 0124",
    "mac": "00:1B:44:11:3A:B7",
    "bitcoin": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "ethereum": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "english address": "221B Baker Street, London NW1 6XE",
    "american address": "123 Main St, Springfield, IL 62704",
    "german address": "Hamburger Straße 12, 20095 Hamburg",
    "german compound": "Hauptstraße 12, 10115 Berlin",
    "french address": "12 rue de la Paix, 75002 Paris",
    "spanish address": "Calle de Alcalá 45, 28014 Madrid",
    "polish address": "ul. Marszałkowska 10/5, 00-590 Warszawa",
    "russian address": "ул. Ленина, д. 5, кв. 12",
    "chinese address": "北京市海淀区中关村大街27号",
    "phrase": "Blue Sky Project",
    "phrase over lines": "blue\n  sky\nproject",
    "chinese phrase": "北京大学",
    "arabic phrase": "قطة سوداء",
    "hyphenated phrase": "left-pad",
    "phrase in base64": "Ymx1ZSBza3kgcHJvamVjdA==",
    "e-mail in base64": "amFuZS5kb2VAZXhhbXBsZS5jb20=",
    "e-mail in percents": "%6Aane%2Edoe%40example%2Ecom",
}
BESIDE = {
    "date of birth": ("Date of birth: ", "12/03/1985"),
    "date with a month": ("born in Leeds on ", "12 March 1985"),
    "month first": ("She was born ", "March 12, 1985"),
    "german date": ("geboren am ", "12. März 1985"),
    "chinese date": ("出生日期：", "1985年3月12日"),
    "age": ("She is aged ", "34"),
    "id beside a word": ("my BSN: ", "111222333"),
    "id in groups beside a word": ("NHS number ", "943 476 5919"),
    "phone beside a word": ("call me at ", "612 345 678"),
    "password": ("password = ", "hunter2x9"),
    "password in words": ("the password is ", "hunter2x9"),
    "random key": ('"api_key": "', "q8Zf3kLw92mXv7Bn4Tc1"),
    "password in a url": ("postgres://app:", "s3cr3tpass@db"),
}
"""What counts beside a word only: the word may leave, what follows it not."""

PHRASES = ("blue sky project", "天空 计划", "北京大学", "قطة سوداء", "left-pad")
ALL = PATTERNED
ALL_MASK = (
    PiiRule(ALL),
    SecretsRule(Action.MASK),
    PhrasesRule(phrases=PHRASES, action=Action.MASK),
    PatternsRule((Pattern("zebra", "(?i)zebra", Action.MASK),)),
)
ALL_BLOCK = (
    PiiRule(ALL, Action.BLOCK),
    SecretsRule(),
    PhrasesRule(phrases=PHRASES),
    PatternsRule((Pattern("zebra", "(?i)zebra"),)),
)


def rules(*chosen: Rule) -> Rules:
    return compile_policy(Policy(output=chosen)).output


MASK, BLOCK, KNOWN = rules(*ALL_MASK), rules(*ALL_BLOCK), rules(PiiRule(), SecretsRule())


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("bounds", [HELD, HURRIED], ids=["held", "hurried"])
@pytest.mark.parametrize("forbidden", FORBIDDEN.values(), ids=FORBIDDEN)
@pytest.mark.parametrize("around", ["{}", "Call {} today, or not.", "é漢 {}, x.", "({})\n"])
def test_nothing_of_a_finding_leaves_however_it_is_cut(
    forbidden: str, around: str, bounds: StreamWindow, rate: float
) -> None:
    text = around.format(forbidden)
    for pieces in splits(text):
        assert text_of(releases(pieces, MASK, bounds, rate)) == judge(text, MASK).text, pieces


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("forbidden", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_block_ends_a_stream_before_any_of_the_finding(forbidden: str, rate: float) -> None:
    text = f"Here it is: {forbidden} and more. " + "more " * 100
    for pieces in splits(text[: len(forbidden) + 40])[::7]:
        given_out = releases([*pieces, "and more " * 40], BLOCK, HELD, rate)
        assert text_of(given_out) == "Here it is: ", pieces
        assert given_out[-1].blocked_by in {"pii", "secrets", "phrases", "zebra"}


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("bounds", [HELD, HURRIED], ids=["held", "hurried"])
@pytest.mark.parametrize(("word", "forbidden"), BESIDE.values(), ids=BESIDE)
def test_nothing_of_what_counts_beside_a_word_leaves_however_it_is_cut(
    word: str, forbidden: str, bounds: StreamWindow, rate: float
) -> None:
    for text in (f"{word}{forbidden}", f"So: {word}{forbidden}@db, or not"):
        whole = judge(text, MASK).text
        assert forbidden not in whole
        for pieces in splits(text):
            assert text_of(releases(pieces, MASK, bounds, rate)) == whole, pieces
            blocked = text_of(releases(pieces, BLOCK, bounds, rate))
            assert text.startswith(blocked), pieces
            assert len(blocked) <= text.index(forbidden), pieces


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_a_long_finding_is_masked_as_one(size: int, rate: float) -> None:
    text = f"The key: {PEM} is secret. " + "word " * 100
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    assert text_of(releases(pieces, MASK, HELD, rate)) == judge(text, MASK).text


def test_a_finding_without_end_ends_the_answer() -> None:
    given_out = releases(
        ["A key: -----BEGIN PRIVATE KEY-----\n", *["MIIEpAIBAAKCAQEA\n"] * (MOST_HELD // 17 + 10)], MASK
    )
    assert text_of(given_out) == "A key: "
    assert given_out[-1].blocked_by == "secrets"


def test_nothing_leaves_after_a_block() -> None:
    window = Window(BLOCK, HELD)
    window.push("a zebra is here", 0.0)
    assert window.push(" and more", 1.0).blocked_by == "zebra"
    assert [window.push("harmless " * 100, 9.0), window.flush()] == [Release(blocked_by="zebra")] * 2


def test_a_finding_is_counted_once() -> None:
    text = "mail jane@example.com now, and a zebra. " + "word " * 100
    given_out = releases(list(text), MASK)
    total = {("pii", "Email", "Mask"): 0, ("patterns", "zebra", "Mask"): 0}
    for release in given_out:
        for name, count in release.counts.items():
            total[name] += count
    assert total == {("pii", "Email", "Mask"): 1, ("patterns", "zebra", "Mask"): 1}
    assert sum(release.checked for release in given_out) == len(text)


words = st.sampled_from(
    ["Hello", "é", "漢字", "🙂", "the", "sum is 12", "x=1", "a-b", "3.5 %", "(see", "below)", "\n", "\t"]
)
chunks = st.lists(st.integers(1, 30), min_size=1, max_size=40)
steps = st.sampled_from([0.0, 0.01, 0.2, 1.0])


def cut(text: str, sizes: list[int]) -> list[str]:
    """The text in pieces of these sizes, over and over."""
    ends = list(itertools.takewhile(lambda end: end < len(text), itertools.accumulate(itertools.cycle(sizes))))
    return [text[start:end] for start, end in itertools.pairwise([0, *ends, len(text)])]


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs", "Nd"], exclude_characters="@:"), max_size=600),
    chunks,
    steps,
)
@settings(max_examples=200, deadline=None)
def test_harmless_text_passes_as_it_is(text: str, sizes: list[int], step: float) -> None:
    assert text_of(releases(cut(text, sizes), KNOWN, HURRIED, step)) == text


@given(st.lists(st.tuples(words, st.sampled_from([*FORBIDDEN.values()])), max_size=12), chunks, steps)
@example([("sum is 12", "4111 1111 1111 1111")], [1], 1.0)
@settings(max_examples=300, deadline=None)
def test_a_window_gives_what_the_whole_text_would(pairs: list[tuple[str, str]], sizes: list[int], step: float) -> None:
    text = " so ".join(f"{word} so {forbidden}" for word, forbidden in pairs) + " end"
    assert text_of(releases(cut(text, sizes), MASK, HELD, step)) == judge(text, MASK).text


@given(st.text(max_size=400), chunks)
def test_never_more_is_held_than_the_bound(text: str, sizes: list[int]) -> None:
    bounds = StreamWindow(hold_back_characters=32, hold_back_seconds=1000.0)
    window, taken, given_out = Window(rules(PatternsRule((Pattern("never", "^never$"),))), bounds), 0, 0
    for piece in cut(text, sizes):
        taken += len(piece)
        given_out += len(window.push(piece, 0.0).text)
        assert taken - given_out <= max(32, LEAST_TAIL)


def test_text_is_held_for_its_time_and_no_longer() -> None:
    window = Window(MASK, StreamWindow(hold_back_characters=256, hold_back_seconds=0.25))
    assert window.push("Hello there, ", 10.0).text == ""
    assert window.push("you. ", 10.1).text == ""
    assert window.due == 10.25
    assert window.push("", 10.25).text == "Hello there, "
    assert window.due == pytest.approx(10.35)
    assert window.push("", 10.36).text == "you. "
    assert window.due is None


def test_what_may_go_on_is_held_beyond_its_time_without_asking_for_more() -> None:
    window = Window(MASK, HELD)
    window.push("Call +49 30 12", 0.0)
    assert window.push("", 1.0).text == "Call "
    assert window.due is None
    assert window.push("", 60.0).text == ""
    assert window.push("34567 now", 61.0).text == ""
    assert window.push("", 61.25).text == "[PHONE] "
    assert window.flush().text == "now"


def test_a_word_longer_than_the_bound_leaves_from_its_front() -> None:
    window = Window(MASK, StreamWindow(hold_back_characters=100, hold_back_seconds=1000.0))
    assert window.push("x" * 150, 0.0).text == "x" * 50


def test_a_block_that_may_become_harmless_is_waited_for() -> None:
    """4222222222222 is a card number, 42222222222229 is none."""
    cards = rules(PiiRule(action=Action.BLOCK))
    assert text_of(releases(["no 4222222222222", "99999999 no"], cards, HURRIED, 1.0)) == "no 422222222222299999999 no"
    assert releases(["no 4222222222222", " no"], cards, HURRIED, 1.0)[-1].blocked_by == "pii"


def test_without_rules_nothing_is_held() -> None:
    assert Window(Rules(), HELD).push("jane@example.com", 0.0).text == "jane@example.com"


LONG = " ".join(f"word{number}" for number in range(20))


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
def test_a_phrase_longer_than_the_bound_is_held_whole(rate: float) -> None:
    chosen = rules(PhrasesRule(phrases=(LONG,), action=Action.MASK))
    assert len(LONG) > HURRIED.hold_back_characters + LEAST_TAIL
    for pieces in splits(f"So: {LONG.upper()}, yes."):
        assert text_of(releases(pieces, chosen, HURRIED, rate)) == "So: [PHRASE], yes.", pieces


def test_words_of_an_author_that_come_in_time_are_seen_as_one() -> None:
    chosen = rules(PatternsRule((Pattern("project", r"(?i)project\s+x", Action.MASK),)))
    assert text_of(releases(["The project", " ", "x is", " on"], chosen)) == "The [PATTERN:project] is on"


def broken(_text: str) -> list[Finding]:
    raise ValueError


def test_a_rule_that_cannot_run_ends_a_closed_stream_and_is_counted_in_an_open_one() -> None:
    with pytest.raises(RuleError):
        Window(Rules((Check("broken", broken),)), HURRIED).push("harmless words are here, many", 0.0)
    window = Window(Rules((Check("broken", broken, on_error=OnError.OPEN),)), HURRIED)
    window.push("harmless", 0.0)
    assert window.flush() == Release("harmless", errors=("broken",), checked=8)


def test_a_release_prints_without_its_text() -> None:
    assert "jane" not in repr(Release("jane"))


def test_a_text_that_does_not_stream_is_judged_at_its_end() -> None:
    whole = WholeText(BLOCK)
    assert whole.push("write to jane@", 0.0) == Release()
    assert whole.push("example.com", 99.0) == Release()
    assert whole.flush() == Release("write to ", "pii", {("pii", "Email", "Block"): 1}, checked=25)
    assert whole.flush() == Release()


def test_what_stands_within_a_placeholder_of_the_request_is_no_finding() -> None:
    vault, text = Vault(), "Jane Smith called"
    known = vault.placeholder(Finding(0, 10, "pii", "PersonName", "[PERSON]", Action.MASK, unmask=True), text)
    guessed = f"[PERSON_{'a' * 12}]"
    rule = PhrasesRule(phrases=("person",), whole_words=False, action=Action.MASK)
    whole = WholeText(compile_policy(Policy("p", "v", output=(rule,))).output, vault)
    whole.push(f"{known}, a person, {guessed}", 0.0)
    release = whole.flush()
    assert release.text.startswith(f"{known}, a ")
    assert "person" not in release.text.removeprefix(known).lower()
    assert sum(release.counts.values()) == 2


@pytest.mark.parametrize("label", ["[PERSON]", "[the person]"])
@pytest.mark.parametrize("action", [Action.MASK, Action.BLOCK])
def test_nor_is_it_on_a_stream_however_it_is_cut(label: str, action: Action) -> None:
    vault = Vault()
    known = vault.placeholder(Finding(0, 10, "pii", "PersonName", label, Action.MASK, unmask=True), "Jane Smith called")
    rule = PhrasesRule(phrases=("person",), whole_words=False, action=action)
    rules = compile_policy(Policy("p", "v", output=(rule,))).output
    said = f"Now {known} called, and went."
    for cut in range(1, len(said)):
        window = Window(rules, HURRIED, vault)
        parts = [window.push(said[:cut], 0.0), window.push("", 9.0), window.push(said[cut:], 9.5), window.flush()]
        assert "".join(part.text for part in parts) == said
        assert not any(part.counts for part in parts)


def test_what_a_rule_waits_for_is_held_beyond_its_time() -> None:
    """Here sentences: what a rule says of one may depend on its end."""
    sentences = Check("sentence", tail=lambda text: text.rfind(". ") + 2 if ". " in text else 0)
    window = Window(Rules((sentences,)), HELD)
    window.push("One. Two is ", 0.0)
    assert window.push("", 9.0).text == "One. "
    assert window.push("", 10.0).text == ""
    assert window.push("longer. Three", 11.0).text + window.push("", 18.0).text == "Two is longer. "


@pytest.mark.parametrize(("longest", "left"), [(0, 50), (80, 50), (120, 30)])
def test_what_a_rule_waits_for_is_no_longer_than_the_bound(longest: int, left: int) -> None:
    chosen = Rules((Check("all", tail=lambda _: 0, longest=longest),))
    window = Window(chosen, StreamWindow(hold_back_characters=100))
    assert len(window.push("x " * 75, 0.0).text) == left
