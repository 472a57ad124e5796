"""What a score of the rule `injection` is held to: thresholds by language and length, each its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmops_sidecars.guard.rules.injection.judge import _margin, evidence_of
from llmops_sidecars.guard.rules.injection.model import Model, model
from llmops_sidecars.guard.rules.injection.scripts import GROUPS, LENGTHS

TEXTS = {
    "english": "What is the weather like today? ",
    "latin": "Wie wird das Wetter morgen in Hamburg? ",
    "cyrillic": "Какая завтра погода в Киеве? ",
    "arabic": "كيف الطقس اليوم في القاهرة؟ ",
    "devanagari": "कल मौसम कैसा रहेगा? ",
    "ideographs": "明天天气怎么样？ ",
    "hangul": "내일 날씨 어때? ",
    "other": "πώς είναι ο καιρός αύριο; ",
}
SIZES = (1, *LENGTHS)


def raised(using: Model, group: str, bucket: int) -> Model:
    bounds = tuple(bound + 9 * (place == bucket) for place, bound in enumerate(using.thresholds[group]))
    return replace(using, thresholds=using.thresholds | {group: bounds})


@pytest.mark.parametrize("bucket", range(len(SIZES)))
@pytest.mark.parametrize("group", GROUPS)
def test_each_language_and_length_is_held_to_its_own_threshold(group: str, bucket: int) -> None:
    using = model()
    text = TEXTS[group] * max(SIZES[bucket] // len(TEXTS[group]) + 1, 1)
    found = evidence_of(text, using, np.zeros(1, np.float32))
    assert found is not None
    before = _margin(len(text), found, using)
    moved = {
        (other, place)
        for other in GROUPS
        for place in range(len(SIZES))
        if _margin(len(text), found, raised(using, other, place)) != before
    }
    assert moved == {(group, bucket)}
    assert _margin(len(text), found, raised(using, group, bucket)) == pytest.approx(before - 9)
