from __future__ import annotations

import time
from pathlib import Path

import pytest

from llmops_sidecars.contract import Action, ContractError, LanguageRule, Policy
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.rules.finding import OUTPUT, Context, Size
from llmops_sidecars.guard.verdict import judge, measure

ROWS = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parents[3] / "data" / "languages.txt").read_text(encoding="utf-8").splitlines()
]
NAMES = [f"{code}-{number}" for number, (code, _) in enumerate(ROWS)]
NEIGHBOURS = {"ca": {"es", "fr", "it", "pt"}, "da": {"no"}, "no": {"da"}, "pt": {"es"}, "kk": {"ru"}}
"""Languages that are so close that one of these texts passes for the other."""

FRENCH = next(text for code, text in ROWS if code == "fr")
ENGLISH = next(text for code, text in ROWS if code == "en")
RUSSIAN = next(text for code, text in ROWS if code == "ru")

CODE = """
import sys
from os import path

def main(arguments: list[str]) -> int:
    for name in arguments[1:]:
        if not path.exists(name):
            print(f"{name} is not there", file=sys.stderr)
            return 1
        with open(name) as file:
            print(file.read().replace("the", "a"))
    return 0

if __name__ == "__main__":
    sys.exit(main(sys.argv))
"""
QUERY = """
SELECT id, name, created FROM users WHERE name IN ('a', 'b') AND created < NOW() OR id = 5;
INSERT INTO orders (user, price, when) VALUES (1, 2.50, 'now'), (2, 3.50, 'then');
UPDATE orders SET price = price * 2 WHERE user IN (SELECT id FROM users WHERE name = 'it');
"""
TRACE = """
Traceback (most recent call last):
  File "/srv/app/main.py", line 12, in <module>
    raise ValueError(value)
ValueError: 17
"""


def rules(*allowed: str, **fields: float) -> Rules:
    chosen = LanguageRule(allowed=allowed, **fields)  # type: ignore[arg-type]
    return compile_policy(Policy(input=(chosen,))).input


def found(text: str, *allowed: str, **fields: float) -> list[str]:
    """The languages of a request's one message that are not allowed."""
    return [one.kind for one in measure(Size(1, (text,), (text,)), rules(*allowed, **fields)).places]


@pytest.mark.parametrize(("code", "text"), ROWS, ids=NAMES)
def test_a_text_passes_where_its_language_is_allowed(code: str, text: str) -> None:
    assert found(text, code) == []
    assert found(text, "en", "ja", code) == []


@pytest.mark.parametrize(("code", "text"), ROWS, ids=NAMES)
def test_a_text_is_found_where_its_language_is_not_allowed(code: str, text: str) -> None:
    for allowed in ("en", "de", "fr", "es", "pt", "it", "nl", "pl", "ru", "tr", "ar", "hi", "sv", "da", "no", "ja"):
        if allowed != code and allowed not in NEIGHBOURS.get(code, ()):
            assert found(text, allowed) != [], allowed


def test_the_language_is_told() -> None:
    assert (found(FRENCH, "de"), found(RUSSIAN, "de"), found("한국어로 " * 20, "de")) == (["fr"], ["ru"], ["ko"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bonjour, ça va ?",
        "ok",
        "Привет!",
        "Łódź, Kraków, Gdańsk, Poznań, Wrocław, Szczecin, Bydgoszcz, Lublin, Białystok",
        "https://www.exemple.fr/les/pages/de/la/une/et/des/autres/pages/du/site mail@exemple.fr",
        "1234 5678 9012 3456 = 7890 * 12345 + 67890 / 123456 - 7890123456789",
        CODE,
        f"```\n{FRENCH}\n```",
        QUERY,
        TRACE,
        '{"ville": "Paris", "jours": 3, "et": [1, 2], "de": {"la": "une"}, "le": "les", "des": "un", "du": "au"}',
        "🙂" * 100,
    ],
    ids=[
        "none",
        "short",
        "shorter",
        "a word",
        "names",
        "addresses",
        "numbers",
        "code",
        "fenced",
        "query",
        "trace",
        "JSON",
        "emoji",
    ],
)
@pytest.mark.parametrize("allowed", ["de", "ko"])
def test_what_is_short_or_no_text_passes(text: str, allowed: str) -> None:
    assert found(text, allowed) == []


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("zh", "港口在1966年关闭，许多家庭搬走了。"),
        ("zh", "3.请写信给a@example.com，我们会尽快回答。"),
        ("ja", "会議は16:51に異議なく始まった。"),
        ("ko", "회의는 1966년에 이의 없이 시작되었습니다."),
        ("th", "ท่าเรือปิดเมื่อปี1966และหลายครอบครัวย้ายออกไป"),
    ],
)
def test_numbers_in_sentences_without_spaces_hide_no_text(code: str, sentence: str) -> None:
    assert found(sentence * 8, "en") == [code]
    assert found(sentence * 8, code) == []


SERBIAN = (
    "Шта треба да понесемо са собом кад у суботу идемо на море?",
    "Šta treba da ponesemo sa sobom kad u subotu idemo na more?",
)


@pytest.mark.parametrize("text", SERBIAN, ids=["Cyrillic", "Latin"])
def test_serbian_is_known_in_both_of_its_alphabets(text: str) -> None:
    assert found(text, "sr") == []
    assert found(text, "sr", "hr") == []
    assert len(found(text, "en")) == 1


def test_code_around_a_text_does_not_matter() -> None:
    assert found(f"{CODE}\n{FRENCH}\n{QUERY}", "en") == ["fr"]
    assert found(f"{CODE}\n{FRENCH}\n{QUERY}", "fr") == []


def test_the_largest_part_of_a_mixed_text_counts() -> None:
    assert found(f"{FRENCH}\n{FRENCH}\n{RUSSIAN}", "fr") == []
    assert found(f"{FRENCH}\n{RUSSIAN}\n{RUSSIAN}", "fr") == ["ru"]
    assert found(f"Translate this: {RUSSIAN} {RUSSIAN}", "en") == ["ru"]
    assert found(f"{ENGLISH} ({RUSSIAN[:40]})", "en") == []


def test_each_message_of_the_user_is_looked_at_and_nothing_else() -> None:
    size = Size(3, (RUSSIAN, ENGLISH, FRENCH), (ENGLISH, FRENCH))
    assert [one.kind for one in measure(size, rules("en")).places] == ["fr"]
    assert judge(RUSSIAN, rules("en").bound(Context(direction="input"))).blocked_by is None


def test_how_sure_and_how_long_is_the_policys_choice() -> None:
    short = "Wie kann ich das ändern und wo?"
    assert found(short, "en") == []
    assert found(short, "en", minimum_characters=20) == ["de"]
    portuguese = [text for code, text in ROWS if code == "pt"][2]
    assert [found(portuguese, "es", confidence=sure) for sure in (0.7, 0.9)] == [["pt"], []]


def test_an_answer_is_looked_at_as_a_whole() -> None:
    chosen = compile_policy(Policy(output=(LanguageRule(allowed=("en",)),))).output.bound(Context(direction=OUTPUT))
    assert chosen.whole
    assert judge(FRENCH, chosen).blocked_by == "language: fr"
    assert judge(ENGLISH, chosen).text == ENGLISH
    assert chosen.beside_content.checks == ()


@pytest.mark.parametrize(
    "text",
    ["a" * 500_000, "the of and " * 45_000, "the.\n" * 100_000, "漢" * 200_000, "`" * 500_000, "x.y" * 200_000],
    ids=["a word", "words", "lines", "ideographs", "ticks", "dots"],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    found(text, "de")
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (LanguageRule(allowed=("en", "xx")), "language: it does not know xx; it knows af, am, ar"),
        (LanguageRule(allowed=("en",), action=Action.MASK), "language: the action is Block or Report, not Mask"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(rule: LanguageRule, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        compile_policy(Policy(input=(rule,)))
