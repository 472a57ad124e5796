from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.contract import Action
from llmops_sidecars.guard.rules.finding import Finding
from llmops_sidecars.guard.vault import LONGEST, Restorer, Vault

TEXT = "jane@example.com and bob@example.com"
JANE = Finding(0, 16, "pii", "Email", "[EMAIL]", Action.MASK, unmask=True)
BOB = Finding(21, 36, "pii", "Email", "[EMAIL]", Action.MASK, unmask=True)


def test_equal_values_have_one_placeholder_and_others_have_others() -> None:
    vault = Vault()
    first, second = vault.placeholder(JANE, TEXT), vault.placeholder(BOB, TEXT)
    assert first != second
    assert vault.placeholder(JANE, TEXT) == first
    assert vault.restored(f"{second}, {first}") == "bob@example.com, jane@example.com"


def test_a_placeholder_tells_what_it_stands_for_and_cannot_be_guessed() -> None:
    first, again = (Vault().placeholder(JANE, TEXT) for _ in range(2))
    assert first.startswith("[EMAIL_")
    assert first.endswith("]")
    assert first != again


def test_no_placeholder_is_longer_than_what_is_waited_for() -> None:
    long = Finding(0, 16, "patterns", "x" * 200, f"[PATTERN:{'x' * 200}]", Action.MASK, unmask=True)
    assert len(Vault().placeholder(long, TEXT)) <= LONGEST


def test_another_request_gives_nothing_back() -> None:
    other = Vault().placeholder(JANE, TEXT)
    vault = Vault()
    vault.placeholder(BOB, TEXT)
    assert vault.restored(other) == other


def test_what_only_looks_like_a_placeholder_stays() -> None:
    vault = Vault()
    vault.placeholder(JANE, TEXT)
    assert vault.restored("[EMAIL] [EMAIL_aaaaaaaaaaaa]") == "[EMAIL] [EMAIL_aaaaaaaaaaaa]"


@given(st.lists(st.sampled_from(["[", "]", "[EMAIL_", "JANE", "BOB", "a", "é", " "])), st.integers(1, 9))
def test_values_come_back_however_the_stream_is_cut(words: list[str], size: int) -> None:
    vault = Vault()
    stand_ins = {"JANE": vault.placeholder(JANE, TEXT), "BOB": vault.placeholder(BOB, TEXT)}
    text = "".join(stand_ins.get(word, word) for word in words)
    restorer = Restorer(vault)
    pieces = [restorer.push(text[place : place + size]) for place in range(0, len(text), size)]
    values = {"JANE": "jane@example.com", "BOB": "bob@example.com"}
    assert "".join([*pieces, restorer.flush()]) == "".join(values.get(word, word) for word in words)


def test_only_what_may_become_a_placeholder_is_held() -> None:
    vault = Vault()
    placeholder = vault.placeholder(JANE, TEXT)
    restorer = Restorer(vault)
    assert restorer.push("see [1], [EMA") == "see [1], "
    assert restorer.push("X") == "[EMAX"
    assert restorer.push(placeholder[:-1]) == ""
    assert restorer.push("]!") == "jane@example.com!"


@pytest.mark.parametrize("value", ['say "hi"@x', "a\\b", "line\nbreak"])
def test_a_value_fits_into_the_json_that_it_is_put_in(value: str) -> None:
    vault = Vault()
    placeholder = vault.placeholder(Finding(0, len(value), "r", "k", "[K]", Action.MASK, unmask=True), value)
    document = vault.restored(f'{{"to": "{placeholder}"}}', lambda said: msgspec.json.encode(said).decode()[1:-1])
    assert msgspec.json.decode(document) == {"to": value}
