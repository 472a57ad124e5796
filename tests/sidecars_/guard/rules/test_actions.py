"""Hash and Generalise: what stands in the place of a value, and what it still tells."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from llmops_sidecars.contract import (
    Action,
    ContractError,
    Pattern,
    PatternsRule,
    PhrasesRule,
    PiiEntity,
    PiiRule,
    Policy,
    Rule,
    SecretsRule,
)
from llmops_sidecars.guard.policy import compile_policy
from llmops_sidecars.guard.rules.hashing import normalised
from llmops_sidecars.guard.verdict import judge
from tests.sidecars_.guard.rules.kit import PATTERNED

KEY = b"a key of sixteen"
ALL = PATTERNED


def judged(text: str, *chosen: Rule, key: Path | None = None) -> str:
    policy = Policy(input=chosen, hash_key_file=str(key)) if key else Policy(input=chosen)
    return judge(text, compile_policy(policy).input).text


GENERALISED = [
    ("I am 34 years old", "I am 30-34 years old"),
    ("age: 5", "age: 5-9"),
    ("aged 90", "aged 90+"),
    ("aged 103", "aged 90+"),
    ("born on 12 March 1985", "born on 1980s"),
    ("DOB 2001-01-31", "DOB 2000s"),
    ("dob 3/12/85", "dob [DATE_OF_BIRTH]"),
    ("from 203.0.113.77", "from 203.0.113.0/24"),
    ("from 2001:db8:1:2::77", "from 2001:db8:1::/48"),
    ("+49 30 1234567", "[PHONE +49]"),
    ("0044 20 7946 0958", "[PHONE +44]"),
    ("+1 (202) 555-0143", "[PHONE +1]"),
    ("030 1234567", "[PHONE]"),
    ("jane@example.CO.uk", "[EMAIL .uk]"),
    ("DE89 3704 0044 0532 0130 00", "[IBAN DE]"),
    ("123 Main St, Springfield, IL 62704", "[ADDRESS IL 62]"),
    ("1600 Pennsylvania Avenue NW, Washington, DC 20500", "[ADDRESS DC 20]"),
    ("1600 Pennsylvania Avenue", "[ADDRESS]"),
    ("221B Baker Street, London NW1 6XE", "[ADDRESS NW]"),
    ("Hauptstraße 12, 10115 Berlin", "[ADDRESS 10]"),
    ("Bahnhofstrasse 12, 8001 Zürich", "[ADDRESS 80]"),
    ("ul. Marszałkowska 10/5, 00-590 Warszawa", "[ADDRESS 00]"),
    ("42 Wallaby Way, Sydney NSW 2000", "[ADDRESS NSW]"),
    ("Rua Augusta, 1500", "[ADDRESS]"),
    ("4111 1111 1111 1111", "[CREDIT_CARD]"),
    ("123-45-6789", "[NATIONAL_ID]"),
    ("00:1B:44:11:3A:B7", "[MAC_ADDRESS]"),
]


@pytest.mark.parametrize(("text", "expected"), GENERALISED)
def test_a_coarser_value_stands_in_its_place(text: str, expected: str) -> None:
    assert judged(text, PiiRule(ALL, Action.GENERALISE)) == expected


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    return file


def test_a_hash_is_of_kind_and_value_by_the_key(key: Path) -> None:
    expected = hmac.new(KEY, b"Email\0jane@example.com", hashlib.sha256).hexdigest()[:12]
    assert judged("to Jane@Example.com.", PiiRule(action=Action.HASH), key=key) == f"to [EMAIL:{expected}]."


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("jane@example.com", "JANE@example.COM"),
        ("+49 30 1234567", "0049 (30) 1234-567"),
        ("4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("123-45-6789", "SSN 123456789"),
        ("00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7"),
    ],
)
def test_one_value_has_one_hash_however_it_is_written(key: Path, first: str, second: str) -> None:
    rule = PiiRule(action=Action.HASH)
    hashes = {judged(text, rule, key=key).rpartition("[")[2] for text in (first, second)}
    assert len(hashes) == 1
    assert ":" in hashes.pop()


def test_other_values_and_other_keys_give_other_hashes(key: Path, tmp_path: Path) -> None:
    rule = PiiRule(action=Action.HASH)
    other = tmp_path / "other"
    other.write_bytes(b"another long key")
    found = {
        judged("jane@example.com", rule, key=key),
        judged("jane.doe@example.com", rule, key=key),
        judged("jane@example.com", rule, key=other),
    }
    assert len(found) == 3


@pytest.mark.parametrize(
    "rule",
    [
        SecretsRule(Action.HASH),
        PhrasesRule(phrases=("AKIAIOSFODNN7EXAMPLE",), action=Action.HASH),
        PatternsRule((Pattern("key", "AKIA[A-Z0-9]{16}", Action.HASH), Pattern("other", "never", Action.MASK))),
    ],
    ids=["secrets", "phrases", "patterns"],
)
def test_other_rules_hash_too(key: Path, rule: Rule) -> None:
    assert (
        len(judged("AKIAIOSFODNN7EXAMPLE", rule, key=key).partition(":")[2].removesuffix("]").rpartition(":")[2]) == 12
    )


def test_a_stronger_action_wins_over_a_hash(key: Path) -> None:
    rules = (PiiRule(action=Action.HASH), PiiRule((PiiEntity.EMAIL,), Action.MASK))
    assert judged("jane@example.com", *rules, key=key) == "[EMAIL]"


def test_numbers_are_compared_without_what_groups_them() -> None:
    assert normalised("CreditCard", "4111 1111-1111 1111") == "4111111111111111"
    assert normalised("Email", "A.B@x") == "a.b@x"
    assert normalised("zebra", "Two \n Words") == "two words"


REFUSED = {
    "no key": (
        Policy(name="p", input=(PiiRule(action=Action.HASH),)),
        "'p', rule pii: the action Hash needs a hash_key_file",
    ),
    "no key for a pattern": (
        Policy(name="p", output=(PatternsRule((Pattern("a", "b", Action.HASH),)),)),
        "'p', rule patterns: the action Hash needs",
    ),
    "no file": (Policy(name="p", hash_key_file="/nowhere/key"), "'p': the key for hashes cannot be read: No such file"),
}


@pytest.mark.parametrize(("policy", "message"), REFUSED.values(), ids=REFUSED)
def test_a_policy_without_its_key_is_refused(policy: Policy, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        compile_policy(policy)


def test_a_short_key_is_refused_without_a_word_of_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"hunter2\n")
    with pytest.raises(ContractError, match="has 7 bytes; give at least 16") as caught:
        compile_policy(Policy(hash_key_file=str(file)))
    assert "hunter2" not in str(caught.value)
