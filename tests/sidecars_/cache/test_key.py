from __future__ import annotations

import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.cache.key import NOT_IDENTITY, Scope, digest, key_of, may_remember, read_fields, tag

SCOPE = Scope(tenant="a", revision="r1", policy="p@1", prompt="t@1", engine="triton")
FIELDS: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5}

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
requests = st.dictionaries(st.sampled_from(["messages", "stop", "tools", "new", "seed"]), trees)


def reversed_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_order(field) for name, field in reversed(value.items())}
    return [reversed_order(item) for item in value] if isinstance(value, list) else value


@given(requests)
def test_the_order_of_fields_does_not_matter(fields: dict[str, Any]) -> None:
    assert digest(SCOPE, fields) == digest(SCOPE, reversed_order(fields))


@given(requests)
def test_a_key_survives_the_wire(fields: dict[str, Any]) -> None:
    read = read_fields(msgspec.json.encode(fields))
    assert read is not None
    assert digest(SCOPE, read) == digest(SCOPE, fields)


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_whole_numbers_have_one_form(number: int) -> None:
    assert digest(SCOPE, {"x": number}) == digest(SCOPE, {"x": float(number)})


@given(st.text())
def test_texts_are_compared_in_nfc(text: str) -> None:
    decomposed = [{"content": unicodedata.normalize("NFD", text)}]
    composed = [{"content": unicodedata.normalize("NFC", text)}]
    assert digest(SCOPE, {"messages": decomposed}) == digest(SCOPE, {"messages": composed})


@pytest.mark.parametrize("name", ["tenant", "revision", "policy", "prompt", "engine"])
def test_every_part_of_the_scope_is_in_the_key(name: str) -> None:
    assert digest(msgspec.structs.replace(SCOPE, **{name: "other"}), FIELDS) != digest(SCOPE, FIELDS)


def test_parts_of_the_scope_cannot_be_moved_into_each_other() -> None:
    left, right = Scope("a", "bc", "", "", ""), Scope("ab", "c", "", "", "")
    assert digest(left, FIELDS) != digest(right, FIELDS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "other"),
        ("messages", [{"role": "user", "content": "hi"}]),
        ("messages", [{"role": "system", "content": "Hi"}]),
        ("temperature", 0.6),
        ("top_p", 0.9),
        ("max_tokens", 10),
        ("max_completion_tokens", 10),
        ("frequency_penalty", 1),
        ("presence_penalty", 1),
        ("logit_bias", {"50256": -100}),
        ("stop", ["\n"]),
        ("n", 2),
        ("seed", 7),
        ("logprobs", True),
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("tool_choice", "auto"),
        ("response_format", {"type": "json_object"}),
        ("a_field_of_next_year", 1),
    ],
)
def test_every_field_is_in_the_key(field: str, value: Any) -> None:
    assert digest(SCOPE, {**FIELDS, field: value}) != digest(SCOPE, FIELDS)


@pytest.mark.parametrize("field", sorted(NOT_IDENTITY))
def test_delivery_and_accounting_are_not_in_the_key(field: str) -> None:
    assert digest(SCOPE, {**FIELDS, field: {"any": "thing"}}) == digest(SCOPE, FIELDS)


def test_null_is_as_good_as_missing() -> None:
    assert digest(SCOPE, {**FIELDS, "seed": None}) == digest(SCOPE, FIELDS)


def test_the_key_is_stable_between_releases() -> None:
    """A deliberate change of the form changes FORM, and this."""
    assert digest(SCOPE, FIELDS) == "6eaf3161eea6ff4bbc63bb6c819da0cd8450fb1b94d8f6fc0915a919609b2696"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"1", b"\xff", b'{"a": "\xff"}', b"[" * 100_000],
    ids=["empty", "cut", "array", "string", "number", "not-utf8", "not-utf8-inside", "deep"],
)
def test_what_is_no_object_has_no_fields(body: bytes) -> None:
    assert read_fields(body) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"temperature": 0}, True),
        ({"temperature": 1}, True),
        ({"temperature": 1.0, "seed": 3}, True),
        ({"temperature": None, "tools": None, "n": None, "logprobs": False}, True),
        ({"temperature": 1.01}, False),
        ({"temperature": 2}, False),
        ({"tools": [{"type": "function"}]}, False),
        ({"tools": []}, True),
        ({"n": 1}, True),
        ({"n": 2}, False),
        ({"n": [1]}, False),
        ({"logprobs": True}, False),
    ],
    ids=repr,
)
def test_what_may_be_remembered(fields: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a column
    assert may_remember(fields) is expected


def test_a_key_says_by_hashes_what_it_can_be_purged_by() -> None:
    scope = msgspec.structs.replace(SCOPE, policy_name="p")
    parts = key_of(scope, FIELDS).split(".")
    assert parts == [tag("a"), tag("r1"), tag("p"), tag("t"), digest(scope, FIELDS)]
    assert not {"a", "r1", "p", "t"} & set(parts)
