from __future__ import annotations

from pathlib import Path

import pytest

from llmops_sidecars.contract import (
    AllowedParameter,
    Configuration,
    Message,
    Parameter,
    Parameters,
    Policy,
    PromptLeakRule,
    Template,
    Variable,
    VariableType,
)
from tests.sidecars_.guard.kit import STRICT, SUPPORT, FakeCache, contract, guarded, said
from tests.support.asgi import Answer, call

FULL = Template(
    "full",
    "f1",
    (Message("user", "{{ n }} {{ l }}"),),
    (
        Variable("n", VariableType.INTEGER, minimum=1, maximum=5, default="3", description="how many"),
        Variable("l", VariableType.LIST, max_items=2, default_items=("a",)),
    ),
    Parameters(temperature=0.2, allow=(AllowedParameter(Parameter.TEMPERATURE, 0, 1),)),
)


async def rendered(tmp_path: Path, name: str, body: object, policy: Policy = STRICT) -> Answer:
    guard = guarded(tmp_path, FakeCache(), contract(policy=policy, templates=(SUPPORT, FULL)))
    return await guard.ask(body, f"/v1/prompts/{name}/render")


async def test_templates_are_listed_without_their_texts(tmp_path: Path) -> None:
    guard = guarded(tmp_path, FakeCache(), contract(templates=(SUPPORT, FULL)))
    answer = await call(guard.app, "GET", "/v1/prompts")
    assert (answer.status, answer.json["object"]) == (200, "list")
    assert [(one["id"], one["version"], one["object"]) for one in answer.json["data"]] == [
        ("support", "t1", "prompt"),
        ("full", "f1", "prompt"),
    ]
    full = answer.json["data"][1]
    number = {"name": "n", "type": "integer", "required": False, "max_length": 4000, "default": "3"}
    assert full["variables"] == [
        number | {"minimum": 1.0, "maximum": 5.0, "description": "how many"},
        {"name": "l", "type": "list", "required": False, "max_length": 4000, "default": ["a"], "max_items": 2},
    ]
    assert full["parameters"]["allow"] == [{"name": "temperature", "minimum": 0, "maximum": 1}]
    assert "You help" not in answer.body.decode()


async def test_without_templates_the_list_is_empty(tmp_path: Path) -> None:
    answer = await call(guarded(tmp_path, FakeCache(), contract(templates=())).app, "GET", "/prompts/")
    assert answer.json == {"object": "list", "data": []}


async def test_a_template_is_rendered_and_no_engine_asked(tmp_path: Path) -> None:
    cache = FakeCache()
    guard = guarded(tmp_path, cache, contract(templates=(SUPPORT,)))
    answer = await guard.ask({"variables": {"question": "Why</s>?"}}, "/v1/prompts/support/render")
    assert answer.status == 200
    assert answer.headers["x-llmops-prompt"] == "support@t1"
    assert answer.json == {
        "id": "support",
        "version": "t1",
        "object": "prompt.rendered",
        "messages": [
            {"role": "system", "content": "You help customers of Acme."},
            {"role": "user", "content": "Why< /s>?"},
        ],
    }
    assert cache.requests == []


@pytest.mark.parametrize(
    ("name", "body", "status", "code", "param"),
    [
        ("nope", {}, 404, "prompt_not_found", None),
        ("support", {}, 400, "missing_variable", "prompt.variables.question"),
        ("support", {"variables": {"question": "x"}, "version": "00000000"}, 400, "prompt_not_found", "prompt.version"),
        ("full", {"variables": {"n": 6}}, 400, "invalid_variable", "prompt.variables.n"),
        ("full", {"variables": {"l": ["a", "b", "c"]}}, 400, "invalid_variable", "prompt.variables.l"),
        ("full", {"variables": []}, 400, "invalid_value", "variables"),
    ],
)
async def test_what_cannot_be_rendered_is_told(
    tmp_path: Path, name: str, body: object, status: int, code: str, param: str | None
) -> None:
    answer = await rendered(tmp_path, name, body)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (status, code, param)


async def test_a_policy_against_leaks_keeps_prompts_from_callers(tmp_path: Path) -> None:
    policy = Policy(output=(PromptLeakRule(),))
    answer = await rendered(tmp_path, "support", {"variables": {"question": "x"}}, policy=policy)
    assert (answer.status, answer.error["code"]) == (403, "prompt_hidden")
    assert "You help" not in answer.body.decode()


OLD = Template("t", "aaaaaaaa00000000", (Message("user", "old {{ x }}"),), (Variable("x"),))
NEW = Template("t", "bbbbbbbb00000000", (Message("user", "new {{ x }}"),), (Variable("x"),))
ONLY_NEW = Template("n", "cccccccc00000000", (Message("user", "n"),))


@pytest.mark.parametrize(
    ("prompt", "weight", "version"),
    [
        ({"id": "t"}, 100, "t@aaaaaaaa00000000"),
        ({"id": "t"}, 0, "t@bbbbbbbb00000000"),
        ({"id": "t", "version": "stable"}, 0, "t@aaaaaaaa00000000"),
        ({"id": "t", "version": "bbbbbbbb"}, 100, "t@bbbbbbbb00000000"),
        ({"id": "t", "version": "aaaaaaaa00"}, 0, "t@aaaaaaaa00000000"),
        ({"id": "n", "version": "cccccccc"}, 100, "n@cccccccc00000000"),
        ({"id": "n"}, 100, None),
        ({"id": "n", "version": "stable"}, 0, None),
    ],
)
async def test_a_version_is_found_in_either_configuration(
    tmp_path: Path, prompt: dict[str, str], weight: int, version: str | None
) -> None:
    cache = FakeCache(said("x"))
    both = (
        Configuration("r1", weight, templates=(OLD,)),
        Configuration("r2", 100 - weight, templates=(NEW, ONLY_NEW)),
    )
    answer = await guarded(tmp_path, cache, contract(*both)).ask({"model": "chat", "prompt": prompt})
    if version is None:
        assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "prompt_not_found", "prompt.id")
        return
    assert answer.headers["x-llmops-prompt"] == version
    assert cache.received[0]["x-llmops-prompt"] == version
    assert answer.headers["x-llmops-revision"] == ("r1" if weight else "r2")


async def test_requests_are_counted_by_template_and_version(tmp_path: Path) -> None:
    guard = guarded(tmp_path, FakeCache(said("x")), contract(templates=(OLD,)))
    await guard.ask()
    for values in ({"x": "1"}, {"x": "2"}, {"y": "3"}):
        await guard.ask({"model": "chat", "prompt": {"id": "t", "variables": values}})
    metrics = (await call(guard.app.admin, "GET", "/metrics")).body.decode()
    told = sorted(line for line in metrics.splitlines() if line.startswith("llmops_prompts_total"))
    labels = 'prompt="t",version="aaaaaaaa00000000"'
    assert told == [
        f'llmops_prompts_total{{outcome="ok",{labels}}} 2.0',
        f'llmops_prompts_total{{outcome="unknown_variable",{labels}}} 1.0',
    ]


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/prompts"), ("GET", "/v1/prompts/support/render")])
async def test_another_method_is_refused(tmp_path: Path, method: str, path: str) -> None:
    assert (await call(guarded(tmp_path, FakeCache()).app, method, path)).status == 405


async def test_a_path_below_that_is_none_is_not_found(tmp_path: Path) -> None:
    answer = await call(guarded(tmp_path, FakeCache()).app, "GET", "/v1/prompts/support")
    assert answer.status == 404
