"""Specs that models and API server alike must refuse: (name, kind, spec, what the message must say)."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

COMMIT = "0" * 40
HUB = {"huggingFace": {"repository": "acme/model", "revision": COMMIT}}
VOLUME = {"volume": {"claimName": "models"}}
SERVED = {"model": {"name": "m", "source": HUB}, "resources": {"gpus": 1}}
REPOSITORY = {"modelRepository": {"image": "triton:1"}}
EXTERNAL = {"external": {"url": "https://api.example.com/v1", "model": "x"}}


def served(**change: Any) -> Document:
    return SERVED | change


def rule(**change: Any) -> Document:
    return {"input": [change]}


def variable(**change: Any) -> Document:
    return {"messages": [{"role": "user", "content": "hi"}], "variables": [{"name": "a", **change}]}


BAD: list[tuple[str, str, Document, str]] = [
    ("no model", "LLMDeployment", {"replicas": 1}, "model"),
    ("wrong type", "LLMDeployment", served(replicas="two"), "replicas"),
    ("negative replicas", "LLMDeployment", served(replicas=-1), "replicas"),
    ("two sources", "LLMDeployment", served(model={"name": "m", "source": HUB | VOLUME}), "exactly one of huggingFace"),
    ("no source in it", "LLMDeployment", served(model={"name": "m", "source": {}}), "exactly one of huggingFace"),
    (
        "a branch",
        "LLMDeployment",
        served(model={"name": "m", "source": {"huggingFace": {"repository": "a/b", "revision": "main"}}}),
        "revision",
    ),
    ("two engines", "LLMDeployment", served(engine=REPOSITORY | EXTERNAL), "at most one of tensorRTLLM"),
    (
        "a GPU engine without a source",
        "LLMDeployment",
        {"model": {"name": "m"}, "resources": {"gpus": 1}},
        "needs model.source",
    ),
    ("a GPU engine without GPUs", "LLMDeployment", {"model": {"name": "m", "source": HUB}}, "resources.gpus"),
    (
        "GPUs that do not fit",
        "LLMDeployment",
        served(engine={"tensorRTLLM": {"tensorParallelSize": 4}}),
        "resources.gpus",
    ),
    (
        "an external engine with a source",
        "LLMDeployment",
        {"model": {"name": "m", "source": HUB}, "engine": EXTERNAL},
        "external engine",
    ),
    (
        "a path that climbs",
        "LLMDeployment",
        served(model={"name": "m", "source": {"volume": {"claimName": "m", "path": "a/../b"}}}),
        "climb",
    ),
    ("a quantity without sense", "LLMDeployment", served(resources={"gpus": 1, "memory": "much"}), "memory"),
    (
        "an unknown default",
        "LLMDeployment",
        served(prompts={"templates": [{"name": "a"}], "default": "b"}),
        "one of templates",
    ),
    ("a duration without a unit", "LLMDeployment", served(cache={"exact": {"ttl": "60"}}), "ttl"),
    (
        "a URL with a password",
        "LLMDeployment",
        {"model": {"name": "m"}, "engine": {"external": {"url": "https://u:p@x/v1", "model": "x"}}},
        "url",
    ),
    ("no messages", "PromptTemplate", {"messages": []}, "messages"),
    ("an unknown role", "PromptTemplate", {"messages": [{"role": "robot", "content": "x"}]}, "role"),
    ("required with a default", "PromptTemplate", variable(required=True, default="x"), "no default"),
    (
        "a default of another type",
        "PromptTemplate",
        variable(type="integer", default="x"),
        "not of the variable's type",
    ),
    ("two rules in one", "GuardPolicy", rule(pii={}, secrets={}), "exactly one of pii"),
    ("no rule in one", "GuardPolicy", rule(), "exactly one of pii"),
    ("an unknown entity", "GuardPolicy", rule(pii={"entities": ["Shoe"]}), "entities"),
    ("an expression that RE2 refuses", "GuardPolicy", rule(patterns=[{"name": "p", "expression": "(a"}]), "expression"),
    ("a look-behind", "GuardPolicy", rule(patterns=[{"name": "p", "expression": "(?<=a)b"}]), "expression"),
    ("a hold-back out of bounds", "GuardPolicy", {"stream": {"holdBackCharacters": 1}}, "holdBackCharacters"),
]
UNKNOWN_FIELDS: list[tuple[str, str, Document, str]] = [
    ("unknown field", "LLMDeployment", served(replica=1), "replica"),
    ("unknown field deep inside", "LLMDeployment", served(resources={"gpus": 1, "gpu": 1}), "gpu"),
    ("unknown field of a policy", "GuardPolicy", {"inputs": []}, "inputs"),
]
