"""Every reason to hold, and what it tells a person to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from llmops_operator import names
from llmops_operator.decide.plan import plan
from llmops_operator.world import World
from tests.operator_.decide.worlds import (
    CPU,
    EXTERNAL,
    GPU,
    LISTED,
    POLICY,
    TEMPLATE,
    UID,
    USES_BOTH,
    foreign,
    owner,
    with_children,
    world,
)

BOTH = CPU | USES_BOTH
TWO_VARIABLES = TEMPLATE | {"messages": [{"role": "user", "content": "{{ question }} {{ company }}"}]}
BAD_PATTERN = {"input": [{"patterns": [{"name": "p", "expression": "(unclosed"}]}]}
GUARDED = CPU | {"guard": {"policyRef": {"name": "strict"}}}
THREE_LISTS = {"input": [{"phrases": {"configMapRef": {"name": "lists", "key": key}}} for key in "abc"]}
LARGE = [f"{letter * 100}\n" * 4_000 for letter in "abc"]
HUGE = {"messages": [{"role": "system", "content": "x" * 32_000}]}
MANY = [f"t{number}" for number in range(40)]
USES_MANY = CPU | {"prompts": {"templates": [{"name": name} for name in MANY]}}

USES_POLICY = {"guard": {"policyRef": {"name": "strict"}}}


def asking(url: str) -> dict[str, object]:
    """A policy that asks a webhook."""
    return {"output": [{"webhook": {"url": url}}]}


HOLDS: dict[str, tuple[Callable[[], World], str, bool, str]] = {
    "unknown field": (lambda: world(CPU | {"replica": 2}), "SpecInvalid", True, "spec.replica"),
    "no spec": (lambda: world(None), "SpecInvalid", True, "spec.model"),
    "wrong type": (lambda: world(CPU | {"replicas": "many"}), "SpecInvalid", True, "spec.replicas"),
    "missing template": (
        lambda: world(BOTH, policies={"strict": POLICY}),
        "TemplateNotFound",
        False,
        "create the PromptTemplate support",
    ),
    "invalid template": (
        lambda: world(BOTH, templates={"support": {}}, policies={"strict": POLICY}),
        "TemplateInvalid",
        True,
        "correct PromptTemplate support: spec.messages",
    ),
    "placeholder": (
        lambda: world(BOTH, templates={"support": TWO_VARIABLES}, policies={"strict": POLICY}),
        "TemplateInvalid",
        True,
        "spec.messages[0]: {{ company }} has no entry in spec.variables",
    ),
    "missing include": (
        lambda: world(BOTH, templates={"support": TEMPLATE | {"includes": [{"name": "rules"}]}}),
        "TemplateNotFound",
        False,
        "correct PromptTemplate support: spec.includes: create the PromptTemplate rules",
    ),
    "circle of includes": (
        lambda: world(BOTH, templates={"support": TEMPLATE | {"includes": [{"name": "support"}]}}),
        "TemplateInvalid",
        True,
        "go round in a circle: support > support",
    ),
    "missing policy": (
        lambda: world(BOTH, templates={"support": TEMPLATE}),
        "PolicyNotFound",
        False,
        "create the GuardPolicy strict",
    ),
    "pattern that RE2 refuses": (
        lambda: world(BOTH, templates={"support": TEMPLATE}, policies={"strict": BAD_PATTERN}),
        "PolicyInvalid",
        True,
        "correct GuardPolicy strict: spec.input[0].patterns[0]",
    ),
    "missing list": (
        lambda: world(GUARDED, policies={"strict": LISTED}),
        "ListNotFound",
        False,
        "create the ConfigMap lists with the key words in this namespace",
    ),
    "missing key of a list": (
        lambda: world(GUARDED, policies={"strict": LISTED}, lists={"lists": {"other": "a"}}),
        "ListNotFound",
        False,
        "create the ConfigMap lists with the key words",
    ),
    "invalid list": (
        lambda: world(GUARDED, policies={"strict": LISTED}, lists={"lists": {"words": "# nothing"}}),
        "ListInvalid",
        True,
        "correct the key words of ConfigMap lists: the list has no phrase",
    ),
    "lists too large": (
        lambda: world(GUARDED, policies={"strict": THREE_LISTS}, lists={"lists": dict(zip("abc", LARGE, strict=True))}),
        "ConfigurationTooLarge",
        True,
        "templates, policy and lists take",
    ),
    "tokens without a tokenizer": (
        lambda: world(CPU | USES_POLICY, policies={"strict": {"input": [{"limits": {"tokens": 5}}]}}),
        "PolicyInvalid",
        True,
        "limits.tokens needs model.source, with a tokenizer.json in it",
    ),
    "tokens of a provider's model": (
        lambda: world(EXTERNAL | USES_POLICY, policies={"strict": {"input": [{"limits": {"tokens": 5}}]}}),
        "PolicyInvalid",
        True,
        "or limit characters instead",
    ),
    "a webhook in the open, elsewhere": (
        lambda: world(CPU | USES_POLICY, policies={"strict": asking("http://judge.team-b.svc/j")}),
        "PolicyInvalid",
        True,
        "http is for Services of this namespace; use https, or NAME.team-a.svc",
    ),
    "a webhook in the open, outside": (
        lambda: world(CPU | USES_POLICY, policies={"strict": asking("http://judge.example.com/j")}),
        "PolicyInvalid",
        True,
        "GuardPolicy strict cannot be used here: webhook http://judge.example.com/j",
    ),
    "configuration too large": (
        lambda: world(USES_MANY, templates=dict.fromkeys(MANY, HUGE)),
        "ConfigurationTooLarge",
        True,
        "use fewer",
    ),
    "name taken": (
        lambda: with_children(world(), foreign("ConfigMap", "chat-sidecars")),
        "NameTaken",
        True,
        "ConfigMap chat-sidecars exists and is not ours: delete or rename it",
    ),
    "name taken by another controller": (
        lambda: with_children(world(), foreign("Service", "chat", ownerReferences=owner("other", "other"))),
        "NameTaken",
        True,
        "Service chat",
    ),
    "predecessor": (
        lambda: with_children(world(), foreign("Service", "chat", ownerReferences=owner("older"))),
        "PredecessorLeaving",
        False,
        "will be gone in a moment",
    ),
    "deleting": (lambda: world(deletionTimestamp="2026-01-01T00:00:00Z"), "Deleting", False, "being deleted"),
}


@pytest.mark.parametrize(("make", "reason", "terminal", "words"), HOLDS.values(), ids=HOLDS.keys())
def test_a_hold_says_what_to_do_and_plans_nothing(
    *, make: Callable[[], World], reason: str, terminal: bool, words: str
) -> None:
    planned = plan(make())
    assert planned.hold is not None
    assert (planned.hold.reason, planned.hold.terminal) == (reason, terminal)
    assert words in planned.hold.message
    assert (planned.children, planned.nudges, planned.prune) == ((), (), ())


def test_the_first_check_that_finds_something_counts() -> None:
    planned = plan(world(BOTH, templates={"support": {}}))
    assert planned.hold is not None
    assert planned.hold.reason == "TemplateInvalid"


def test_a_message_never_holds_the_text_of_a_prompt() -> None:
    secret = {"messages": [{"role": "nobody", "content": "the secret recipe"}]}
    planned = plan(world(BOTH, templates={"support": secret}, policies={"strict": POLICY}))
    assert planned.hold is not None
    assert "recipe" not in planned.hold.message


@pytest.mark.parametrize("name", ["chat-engine", "elsewhere"])
def test_an_object_of_another_name_is_no_reason_to_hold(name: str) -> None:
    assert plan(with_children(world(), foreign("ConfigMap", name))).hold is None


def test_a_child_whose_owner_was_taken_away_is_adopted() -> None:
    before = with_children(world())
    orphans = tuple(
        {**one, "metadata": {key: value for key, value in one["metadata"].items() if key != "ownerReferences"}}
        for one in before.children
    )
    planned = plan(replace(before, children=orphans))
    assert planned.hold is None
    assert {one.reason for one in planned.children} == {f"metadata.ownerReferences[{UID}] was changed by somebody else"}


def test_labels_alone_do_not_make_an_object_ours() -> None:
    planned = plan(with_children(world(), foreign("Service", "chat", labels=names.labels("chat"))))
    assert planned.hold is not None
    assert planned.hold.reason == "NameTaken"


@pytest.mark.parametrize(
    "url",
    [
        "https://judge.example.com/j",
        "https://judge.team-b.svc/j",
        "http://judge/j",
        "http://judge.team-a:8080/j",
        "http://judge.team-a.svc/j",
        "http://judge.team-a.svc.cluster.local/j",
    ],
)
def test_a_webhook_may_be_anywhere_by_tls_and_near_without(url: str) -> None:
    assert plan(world(CPU | USES_POLICY, policies={"strict": asking(url)})).hold is None


def test_tokens_are_counted_where_there_is_a_model() -> None:
    policy = {"input": [{"limits": {"tokens": 5}}]}
    assert plan(world(GPU | USES_POLICY, policies={"strict": policy})).hold is None
