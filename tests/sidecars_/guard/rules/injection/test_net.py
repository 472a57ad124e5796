from __future__ import annotations

import numpy as np
import pytest

from llmops_sidecars.guard.rules.injection.net import COLUMNS, EACH, LAYOUT, SIZES, STEP, Head, highest, windows_of


@pytest.mark.parametrize(
    ("length", "wanted"),
    [
        (0, []),
        (1, [(0, 1)]),
        (STEP, [(0, STEP)]),
        (2 * STEP, [(0, 2 * STEP)]),
        (2 * STEP + 1, [(0, 2 * STEP), (STEP, 2 * STEP + 1)]),
        (4 * STEP, [(0, 2 * STEP), (STEP, 3 * STEP), (2 * STEP, 4 * STEP)]),
    ],
)
def test_windows_overlap_by_half_and_cover_all(length: int, wanted: list[tuple[int, int]]) -> None:
    assert windows_of(length) == wanted


def slow(taps: np.ndarray) -> np.ndarray:
    """The same as `highest`, one sum after the other."""
    length = len(taps)
    sums = np.full((length + SIZES[-1] - 1, EACH * len(SIZES)), -(2**15), int)
    for place, size in enumerate(SIZES):
        for last in range(length + size - 1):
            for one in range(EACH):
                blocks = [(block, back) for block, (of, back) in enumerate(LAYOUT) if of == place]
                words = [(last - back, block * EACH + one) for block, back in blocks]
                sums[last, place * EACH + one] = sum(int(taps[at, col]) for at, col in words if 0 <= at < length)
    return np.array([sums[start : start + 2 * STEP].max(axis=0) for start, _ in windows_of(length)])


@pytest.mark.parametrize("length", [1, 2, 3, STEP - 1, STEP, STEP + 1, 2 * STEP, 3 * STEP - 1, 5 * STEP + 7])
def test_the_highest_sums_are_those_of_each_window(length: int) -> None:
    taps = np.random.default_rng(length).integers(-127, 128, (length, COLUMNS), np.int8)
    assert highest(taps).tolist() == slow(taps).tolist()


def test_the_layers_behind_the_filters() -> None:
    ones = np.ones(EACH * len(SIZES), np.float32)
    head = Head(0.5 * ones, -ones, np.stack((ones, -ones), axis=1), np.zeros(2, np.float32), np.array([2, 9.0]), 1.0)
    sums = np.array([[4.0] * len(ones), [1.0] * len(ones)], np.float32)
    assert head.of(sums).tolist() == [2 * len(ones) + 1, 1]
