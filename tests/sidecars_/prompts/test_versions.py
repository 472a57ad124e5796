from __future__ import annotations

import pytest

from llmops_sidecars.contract import Template
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.prompts.versions import Versions, chosen

OLD, NEW = Template("t", "0123456789abcdef", ()), Template("t", "0123456700000000", ())
SAME = Template("t", "0123456789ffffff", ())
BOTH = Versions(current=NEW, stable=OLD, others=(OLD, NEW))


@pytest.mark.parametrize(
    ("version", "versions", "found"),
    [
        (None, BOTH, NEW),
        ("stable", BOTH, OLD),
        ("0123456789abcdef", BOTH, OLD),
        ("012345678", BOTH, OLD),
        ("01234567000", BOTH, NEW),
        ("01234567", Versions(NEW, NEW, (NEW,)), NEW),
        (None, Versions(None, OLD, (OLD,)), None),
        ("stable", Versions(NEW, None, (NEW,)), None),
        ("0123456789abcdef", Versions(), None),
    ],
)
def test_a_version_is_one_of_those_in_play(version: str | None, versions: Versions, found: Template | None) -> None:
    assert chosen(version, versions) is found


@pytest.mark.parametrize(
    ("version", "versions", "told"),
    [
        ("0123456", BOTH, "A version is 8 or more digits of a digest, or 'stable'"),
        ("", BOTH, "A version is 8 or more digits of a digest, or 'stable'"),
        ("newest", BOTH, "A version is 8 or more digits"),
        ("fedcba9876543210", BOTH, "This version of the template is not served; there are: 01234567"),
        ("0123456789abcdef0", BOTH, "This version of the template is not served"),
        ("0123456789", Versions(OLD, SAME), "Several versions of the template begin like this"),
    ],
)
def test_a_version_that_is_none_is_refused_with_those_there_are(version: str, versions: Versions, told: str) -> None:
    with pytest.raises(ApiError) as refused:
        chosen(version, versions)
    assert (refused.value.status, refused.value.code) == (400, "prompt_not_found")
    assert refused.value.body.param == "prompt.version"
    assert refused.value.body.message.startswith(told)
