from __future__ import annotations

from pathlib import Path

import pytest

from llmops_sidecars.contract import (
    Configuration,
    Contract,
    Message,
    OpenAIEngine,
    Template,
    TemplateCall,
    Variable,
    VariableType,
    encode,
)
from llmops_sidecars.prompts.render import as_it_is
from llmops_sidecars.prompts.trial import Outcome, run, values_of
from llmops_sidecars.prompts.values import Value

TYPED = Template(
    "t",
    "1",
    (
        Message("user", "{{ s }}{{ i }}{{ n }}{{ b }}{{ e }}{{ l }}"),
        Message("assistant", tool_calls=(TemplateCall("c", "look", '{"a": 1}'),)),
        Message("tool", "seen", tool_call_id="c"),
    ),
    (
        Variable("s"),
        Variable("i", VariableType.INTEGER),
        Variable("n", VariableType.NUMBER),
        Variable("b", VariableType.BOOLEAN),
        Variable("e", VariableType.ENUM, values=("1", "2")),
        Variable("l", VariableType.LIST),
    ),
)


def tried(tmp_path: Path, *settings: str, output: str = "text") -> Outcome:
    path = tmp_path / "contract.json"
    configuration = Configuration("r", templates=(TYPED,))
    path.write_bytes(encode(Contract("m", OpenAIEngine("http://x", "m"), (configuration,))))
    return run(path, settings, output, as_it_is)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ((), {}),
        (("s=7", "e=1"), {"s": "7", "e": "1"}),
        (("s=a=b=c", "s="), {"s": ""}),
        (("i=7", "n=0.5", "b=true"), {"i": 7, "n": 0.5, "b": True}),
        (("i=x", "b=yes", "n=[1]"), {"i": "x", "b": "yes", "n": "[1]"}),
        (("l=a", "l=", "l=b"), {"l": ["a", "", "b"]}),
        (("other=1",), {"other": "1"}),
    ],
)
def test_a_setting_is_a_value_of_its_variables_type(settings: tuple[str, ...], values: dict[str, Value]) -> None:
    assert values_of(TYPED, settings) == values


def test_messages_are_printed_for_people(tmp_path: Path) -> None:
    said = '[user]\nxtrue\n\n[assistant calls look (c) with {"a": 1}]\n\n[tool answers c]\nseen'
    assert tried(tmp_path, "s=x", "b=true") == Outcome(said, "", 0)


def test_what_is_refused_is_told_by_name(tmp_path: Path) -> None:
    assert tried(tmp_path, "i=x") == Outcome("", "prompt 't', variable 'i': must be of type integer.", 1)
    assert "the template has no such variable" in tried(tmp_path, "q=x").error


def test_a_setting_without_a_value_is_told(tmp_path: Path) -> None:
    assert tried(tmp_path, "s") == Outcome("", "--set s: give NAME=VALUE", 2)


def test_a_document_that_is_none_is_told(tmp_path: Path) -> None:
    found = run(tmp_path / "nothing.json", (), "text", as_it_is)
    assert found.status == 2
    assert "nothing.json" in found.error
