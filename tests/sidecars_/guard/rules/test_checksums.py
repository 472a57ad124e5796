from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.guard.rules.pii.checksums import is_date, is_short_date, luhn, mod_11_10, mod_97, verhoeff
from llmops_sidecars.guard.rules.pii.keccak import keccak_256

digits = st.text("0123456789", min_size=2, max_size=18)


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (
            b"The quick brown fox jumps over the lazy dog",
            "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15",
        ),
    ],
)
def test_keccak_is_ethereums(data: bytes, digest: str) -> None:
    assert keccak_256(data).hex() == digest


@given(st.binary(max_size=500))
def test_keccak_is_sha3_but_for_its_padding(data: bytes) -> None:
    assert keccak_256(data, padding=6) == hashlib.sha3_256(data).digest()


@pytest.mark.parametrize(
    ("check", "right"),
    [
        (luhn, "4111111111111111"),
        (luhn, "79927398713"),
        (verhoeff, "2363"),
        (verhoeff, "234567890124"),
        (mod_11_10, "86095742719"),
        (mod_11_10, "33392005961"),
    ],
)
def test_published_examples_pass_and_no_other_last_digit_does(check: object, right: str) -> None:
    assert callable(check)
    assert [digit for digit in "0123456789" if check(right[:-1] + digit)] == [right[-1]]


@given(digits, st.integers(0, 17), st.integers(1, 9))
def test_verhoeff_notices_every_single_wrong_digit(number: str, place: int, error: int) -> None:
    right = next(number + digit for digit in "0123456789" if verhoeff(number + digit))
    place %= len(right)
    wrong = right[:place] + str((int(right[place]) + error) % 10) + right[place + 1 :]
    assert not verhoeff(wrong)


@given(digits, st.integers(0, 16))
def test_verhoeff_notices_every_swap_of_neighbours(number: str, place: int) -> None:
    right = next(number + digit for digit in "0123456789" if verhoeff(number + digit))
    place %= len(right) - 1
    swapped = right[:place] + right[place + 1] + right[place] + right[place + 2 :]
    assert verhoeff(swapped) == (swapped == right)


def test_letters_count_from_ten_in_mod_97() -> None:
    assert mod_97("3704004405320130" + "00" + "DE89") == 1


def test_dates_are_days_that_there_are() -> None:
    assert is_date(2024, 2, 29)
    assert not is_date(2023, 2, 29)
    assert not is_date(0, 1, 1)
    assert is_short_date("00", "2", "29")
    assert not is_short_date("85", "13", "1")
