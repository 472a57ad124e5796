from __future__ import annotations

from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.cluster.kinds import Key
from llmops_operator.runtime.events import Event, Known, affected

Document = dict[str, Any]
CHAT = Key("LLMDeployment", "team", "chat")
SUPPORT = Key("PromptTemplate", "team", "support")
STRICT = Key("GuardPolicy", "team", "strict")


def document(kind: str, name: str, spec: object = None, **metadata: Any) -> Document:
    return {"kind": kind, "metadata": {"name": name, "namespace": "team", **metadata}, "spec": spec}


USES = {"prompts": {"templates": [{"name": "support"}]}, "guard": {"policyRef": {"name": "strict"}}}
OWNER = {"kind": "LLMDeployment", "name": "chat", "controller": True, "uid": "u"}


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"ownerReferences": [OWNER]}, [CHAT]),
        ({"labels": names.labels("chat")}, [CHAT]),
        ({"labels": names.labels("chat"), "ownerReferences": [{**OWNER, "kind": "ReplicaSet", "name": "x"}]}, [CHAT]),
        ({"labels": names.labels("other"), "ownerReferences": [OWNER]}, [CHAT]),
        ({}, []),
    ],
    ids=["owner", "label", "a pod", "owner before label", "nobody's"],
)
def test_a_child_wakes_its_owner(metadata: Document, found: list[Key]) -> None:
    assert affected(Event(document("Pod", "x", **metadata)), Known()) == found


def test_a_template_wakes_itself_and_who_uses_it() -> None:
    known = Known()
    assert affected(Event(document("LLMDeployment", "chat", USES)), known) == [CHAT]
    assert affected(Event(document("PromptTemplate", "support")), known) == [SUPPORT, CHAT]
    assert affected(Event(document("GuardPolicy", "strict"), gone=True), known) == [STRICT, CHAT]
    assert affected(Event(document("GuardPolicy", "support")), known) == [Key("GuardPolicy", "team", "support")]


def test_an_included_template_wakes_all_that_reach_it_the_nearest_first() -> None:
    known, rules, other = Known(), Key("PromptTemplate", "team", "rules"), Key("PromptTemplate", "team", "other")
    affected(Event(document("LLMDeployment", "chat", USES)), known)
    affected(Event(document("PromptTemplate", "support", {"includes": [{"name": "other"}]})), known)
    affected(Event(document("PromptTemplate", "other", {"includes": [{"name": "rules"}, {"name": "support"}]})), known)
    assert affected(Event(document("PromptTemplate", "rules")), known) == [rules, other, SUPPORT, CHAT]
    assert affected(Event(document("PromptTemplate", "rules"), gone=True), known) == [rules, other, SUPPORT, CHAT]
    affected(Event(document("PromptTemplate", "other", {"includes": "nonsense"})), known)
    assert affected(Event(document("PromptTemplate", "rules")), known) == [rules]


def test_a_changed_or_deleted_user_is_no_longer_woken() -> None:
    known = Known()
    affected(Event(document("LLMDeployment", "chat", USES)), known)
    affected(Event(document("LLMDeployment", "chat", {"guard": {"policyRef": {"name": "strict"}}})), known)
    assert affected(Event(document("PromptTemplate", "support")), known) == [SUPPORT]
    affected(Event(document("LLMDeployment", "chat"), gone=True), known)
    assert affected(Event(document("GuardPolicy", "strict")), known) == [STRICT]


@pytest.mark.parametrize(
    "spec",
    [None, [], "x", {"prompts": [], "guard": 1}, {"prompts": {"templates": "x"}}, {"prompts": {"templates": [1, {}]}}],
)
def test_a_spec_of_any_shape_is_read(spec: object) -> None:
    assert affected(Event(document("LLMDeployment", "chat", spec)), Known()) == [CHAT]


def test_what_is_there_is_known_until_it_is_gone() -> None:
    known = Known()
    for kind, name in (("LLMDeployment", "chat"), ("PromptTemplate", "support"), ("GuardPolicy", "strict")):
        affected(Event(document(kind, name)), known)
    affected(Event(document("Service", "chat", labels=names.labels("chat"))), known)
    assert known.objects() == {CHAT, SUPPORT, STRICT}
    affected(Event(document("PromptTemplate", "support"), gone=True), known)
    assert known.objects() == {CHAT, STRICT}
