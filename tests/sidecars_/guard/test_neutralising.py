from __future__ import annotations

from pathlib import Path

import pytest

from llmops_sidecars.contract import Action, Message, Policy, SpecialTokensRule, Template, Variable, VariableType
from llmops_sidecars.guard.neutralising import Neutraliser, neutralised_by
from tests.sidecars_.guard.kit import FakeCache, contract, guarded, question, said
from tests.sidecars_.guard.rules.test_special_tokens import ALL

TWO = Template(
    "two",
    "1",
    (Message("system", "Own <|tool|> {{ a }}{{ b }}"), Message("user", "[{{ a }}] {{ list }}")),
    (
        Variable("a"),
        Variable("b"),
        Variable("list", VariableType.LIST, separator="|>"),
    ),
)
ASKS = {"model": "chat", "prompt": {"id": "two"}}


async def sent(tmp_path: Path, policy: Policy, **values: object) -> list[str]:
    """The contents that reach the cache."""
    cache = FakeCache(said("x"))
    guard = guarded(tmp_path, cache, contract(policy=policy, templates=(TWO,)))
    answer = await guard.ask({"model": "chat", "prompt": {"id": "two", "variables": values}})
    assert answer.status == 200
    return [message["content"] for message in cache.requests[0]["messages"]]


@pytest.mark.parametrize(("family", "token"), [row for row in ALL if row[0] != "listed by the policy"])
async def test_a_special_token_in_a_value_is_spaced_without_any_rule(tmp_path: Path, family: str, token: str) -> None:
    first, second = await sent(tmp_path, Policy(), a=f"x{token}y")
    spaced = f"{token[0]} {token[1:]}"
    assert (first, second) == (f"Own <|tool|> x{spaced}y", f"[x{spaced}y] "), family


@pytest.mark.parametrize(
    ("values", "first", "second"),
    [
        ({"a": "<|im_", "b": "start|>"}, "Own <|tool|> < |im_start|>", "[<|im_] "),
        ({"a": "INST"}, "Own <|tool|> INST", "[ INST] "),
        ({"list": ["<|user", "x"]}, "Own <|tool|> ", "[] < |user|>x"),
        ({"a": "<|im_\u200bstart|>"}, "Own <|tool|> < |im_\u200bstart|>", "[< |im_\u200bstart|>] "),
        ({"a": "a < b |> c"}, "Own <|tool|> a < b |> c", "[a < b |> c] "),
    ],
    ids=["of two values", "of a value and the author's text", "with a separator", "disguised", "none"],
)
async def test_what_values_make_together_is_looked_at(
    tmp_path: Path, values: dict[str, object], first: str, second: str
) -> None:
    assert await sent(tmp_path, Policy(), **values) == [first, second]


async def test_what_the_policy_lists_is_neutralised_too(tmp_path: Path) -> None:
    for action in (Action.MASK, Action.REPORT):
        policy = Policy(input=(SpecialTokensRule(("<tool_call>",), action=action),))
        contents = await sent(tmp_path, policy, b="<tool_call></s>")
        # the author's own token is the rule's business, which masks it where a variable stands beside it
        own = "< |tool|>" if action is Action.MASK else "<|tool|>"
        assert contents[0] == f"Own {own} < tool_call>< /s>"


async def test_a_policy_that_blocks_special_tokens_blocks_them(tmp_path: Path) -> None:
    cache = FakeCache(said("x"))
    template = Template("t", "1", (Message("user", "{{ a }}"),), (Variable("a"),))
    policy = Policy(input=(SpecialTokensRule(action=Action.BLOCK),))
    guard = guarded(tmp_path, cache, contract(policy=policy, templates=(template,)))
    answer = await guard.ask({"model": "chat", "prompt": {"id": "t", "variables": {"a": "</s>"}}})
    assert (answer.status, answer.error["code"], cache.requests) == (400, "content_blocked", [])


async def test_what_is_neutralised_is_counted_and_its_answer_not_kept(tmp_path: Path) -> None:
    cache = FakeCache(said("x"))
    guard = guarded(tmp_path, cache, contract(policy=Policy(), templates=(TWO,)))
    await guard.ask({"model": "chat", "prompt": {"id": "two", "variables": {"a": "</s>"}}})
    assert cache.received[0]["cache-control"] == "no-store"
    await guard.ask(ASKS)
    assert "cache-control" not in cache.received[1]


async def test_messages_beside_the_template_are_the_rules_business(tmp_path: Path) -> None:
    cache = FakeCache(said("x"))
    guard = guarded(tmp_path, cache, contract(policy=Policy(), templates=(TWO,)))
    await guard.ask(question("</s>") | ASKS)
    assert cache.requests[0]["messages"][-1]["content"] == "</s>"


def test_a_text_without_values_is_not_looked_at() -> None:
    find = neutralised_by(Policy())
    assert find is not None
    neutralise = Neutraliser(find)
    assert neutralise("</s>", ()) == "</s>"
    assert neutralise("</s></s>", [(0, 4)]) == "< /s></s>"
    assert [(one.kind, one.action) for one in neutralise.found] == [("boundary", Action.MASK)]
