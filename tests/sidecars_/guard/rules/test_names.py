"""Names of persons, by a small model made here."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from threading import Event

import onnx
import pytest
from onnx import TensorProto, helper

from llmops_sidecars.contract import Action, ContractError, NamesModel, OnError, PiiEntity, PiiRule, Policy
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.rules.brought import OVERLAP, WINDOW
from llmops_sidecars.guard.rules.finding import Context
from llmops_sidecars.guard.rules.hashing import digest
from llmops_sidecars.guard.rules.pii import make
from llmops_sidecars.guard.rules.pii.names import Names
from llmops_sidecars.guard.vault import Vault
from llmops_sidecars.guard.verdict import RuleError, decide, examine, locate
from tests.sidecars_.guard.rules.models import LABELS, names_model

NAME = PiiEntity.PERSON_NAME
KEY = b"a key of sixteen bytes"


async def found(model: NamesModel, *texts: str) -> list[list[str]]:
    """The names in each text."""
    places = await Names("pii", model).places(texts)
    return [[text[start:end] for start, end in one] for text, one in zip(texts, places, strict=True)]


def rules_of(tmp_path: Path, action: Action = Action.MASK, *entities: PiiEntity, unmask: bool = False) -> Rules:
    """The rules of one request under a policy with one rule."""
    (tmp_path / "key").write_bytes(KEY)
    rule = PiiRule((NAME, *entities), action, unmask=unmask, model=names_model(tmp_path))
    return compile_policy(Policy(input=(rule,), hash_key_file=str(tmp_path / "key"))).input.bound(Context())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Tell Alice about it.", ["Alice"]),
        ("Jane Smith and Bob met in Paris.", ["Jane Smith", "Bob"]),
        ("(Jane  Smith), Alice; Bob", ["Jane  Smith", "Alice", "Bob"]),
        ("Jane-Alice O. Smith's dog", ["Jane-Alice", "Smith"]),
        ("Alice\nBob", ["Alice", "Bob"]),
        ("Dr McSmith, McX and XBob", ["McSmith", "McX", "XBob"]),
        ("ＪＡＮＥ Ｓｍｉｔｈ says hi", ["ＪＡＮＥ Ｓｍｉｔｈ"]),
        ("\N{GRINNING FACE} Alice \N{GRINNING FACE}\N{GRINNING FACE} Bob", ["Alice", "Bob"]),
        ("我叫王伟。", ["王伟"]),
        ("nobody is here", []),
        ("12 + 34 = 46", []),
        ("", []),
    ],
)
async def test_names_are_found_whole_and_where_they_stand(tmp_path: Path, text: str, names: list[str]) -> None:
    assert await found(names_model(tmp_path), text) == [names]


async def test_many_texts_of_all_lengths_are_looked_at_together(tmp_path: Path) -> None:
    texts = ["nobody " * (number * 40) + "Alice" for number in range(20)]
    assert await found(names_model(tmp_path), *texts) == [["Alice"]] * 20


@pytest.mark.parametrize("place", [0, WINDOW - OVERLAP, WINDOW - 1, WINDOW, 3 * WINDOW, 12 * WINDOW - 1])
async def test_the_whole_text_is_looked_at(tmp_path: Path, place: int) -> None:
    words = ["nobody"] * (12 * WINDOW)
    words[place] = "Alice"
    text = " ".join(words)
    assert await Names("pii", names_model(tmp_path)).places([text]) == [[(place * 7, place * 7 + 5)]]


async def test_a_name_over_the_edge_of_a_window_is_one(tmp_path: Path) -> None:
    words = ["nobody"] * (2 * WINDOW)
    words[WINDOW - 1 : WINDOW + 1] = ["Jane", "Smith"]
    assert await found(names_model(tmp_path), " ".join(words)) == [["Jane Smith"]]


async def test_the_probabilities_of_all_labels_for_persons_are_added_up(tmp_path: Path) -> None:
    probable = 2 * math.e / (2 + 2 * math.e)
    words = {"alice": {"B-PER": 1.0, "I-PER": 1.0}}
    assert await found(names_model(tmp_path, words, threshold=probable - 0.01), "Alice") == [["Alice"]]
    assert await found(names_model(tmp_path, words, threshold=probable + 0.01), "Alice") == [[]]


@pytest.mark.parametrize("label", ["PER", "B-PER", "I-PERSON", "PERSON", "S-FIRSTNAME", "last_name", "I-GIVEN_NAME"])
async def test_usual_labels_for_persons_are_known(tmp_path: Path, label: str) -> None:
    model = names_model(tmp_path, {"alice": {label: 20}}, ("O", label, "B-ORG"))
    assert await found(model, "Alice") == [["Alice"]]


@pytest.mark.parametrize(("labels", "names"), [(("LOC",), ["Paris"]), (("B-LOC",), ["Paris"]), (("I-PER",), ["Smith"])])
async def test_labels_say_what_counts(tmp_path: Path, labels: tuple[str, ...], names: list[str]) -> None:
    assert await found(names_model(tmp_path, labels=LABELS), "Paris") == [[]]
    assert await found(names_model(tmp_path, labels=LABELS), "Alice") == [["Alice"]]
    chosen = NamesModel(str(tmp_path / "model.onnx"), labels)
    assert await found(chosen, "Alice, Smith, Paris") == [names]


def test_labels_that_cannot_be_are_refused(tmp_path: Path) -> None:
    names_model(tmp_path)
    with pytest.raises(ContractError, match=r"pii: the model knows \['B-LOC', 'B-PER', 'I-PER', 'O'\], not \['PRS'\]"):
        compiled(NamesModel(str(tmp_path / "model.onnx"), ("PRS", "PER")))
    unnamed = names_model(tmp_path, {"alice": {"LABEL_1": 20}}, ("LABEL_0", "LABEL_1"))
    with pytest.raises(ContractError, match="none is known: say which in labels"):
        compiled(unnamed)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_model_without_one_of_its_files_is_refused(tmp_path: Path, name: str) -> None:
    model = names_model(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ContractError, match=f"pii: the model's {name} is not there"):
        compiled(model)


def compiled(model: NamesModel) -> Rules:
    return compile_policy(Policy(input=(PiiRule((NAME,), model=model),))).input.bound(Context())


def test_names_and_a_model_go_together(tmp_path: Path) -> None:
    for rule in (PiiRule((NAME,)), PiiRule(model=names_model(tmp_path))):
        with pytest.raises(ValueError, match="PersonName and a model for it go together"):
            make(rule)


@pytest.mark.parametrize(
    ("action", "masked"),
    [
        (Action.REPORT, "Tell Jane Smith."),
        (Action.GENERALISE, "Tell [PERSON]."),
        (Action.MASK, "Tell [PERSON]."),
        (Action.HASH, f"Tell [PERSON:{digest(KEY, NAME, 'jane smith')}]."),
        (Action.BLOCK, "Tell "),
    ],
)
async def test_every_action_does_what_it_does_to_others(tmp_path: Path, action: Action, masked: str) -> None:
    text, rules = "Tell Jane Smith.", rules_of(tmp_path, action)
    await locate([text], rules)
    verdict = decide(text, examine(text, rules))
    assert verdict.text == masked
    assert dict(verdict.counts) == {("pii", "PersonName", action.value): 1}
    assert (verdict.blocked_by == "pii") is (action is Action.BLOCK)


async def test_one_person_has_one_hash_and_one_placeholder(tmp_path: Path) -> None:
    text = "Jane Smith, JANE  SMITH, Bob"
    rules = rules_of(tmp_path, Action.HASH)
    await locate([text], rules)
    first, second, other = decide(text, examine(text, rules)).text.split(", ")
    assert first == second != other
    text, vault = "Jane Smith, Jane Smith, Bob", Vault()
    rules = rules_of(tmp_path, unmask=True)
    await locate([text], rules)
    masked = decide(text, examine(text, rules), vault).text
    first, second, other = masked.split(", ")
    assert first == second != other
    assert vault.restored(masked) == text


async def test_the_other_kinds_of_the_rule_are_found_beside_names(tmp_path: Path) -> None:
    text, rules = "Alice: alice@example.com", rules_of(tmp_path, Action.MASK, PiiEntity.EMAIL)
    await locate([text], rules)
    assert decide(text, examine(text, rules)).text == "[PERSON]: [EMAIL]"


async def test_a_text_that_was_not_shown_to_the_model_is_refused(tmp_path: Path) -> None:
    rules = rules_of(tmp_path)
    await locate(["Alice"], rules)
    with pytest.raises(RuleError, match="pii"):
        examine("Bob", rules)


async def test_what_is_known_belongs_to_one_request(tmp_path: Path) -> None:
    policy = Policy(input=(PiiRule((NAME,), model=names_model(tmp_path)),))
    rules = compile_policy(policy).input
    await locate(["Alice"], rules.bound(Context()))
    with pytest.raises(RuleError):
        examine("Alice", rules.bound(Context()))


@pytest.mark.parametrize("on_error", OnError)
async def test_a_model_that_cannot_run_is_an_error_of_the_rule(tmp_path: Path, on_error: OnError) -> None:
    model = names_model(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    rules = compile_policy(Policy(input=(PiiRule((NAME,), on_error=on_error, model=model),))).input.bound(Context())
    if on_error is OnError.CLOSED:
        with pytest.raises(RuleError, match="pii"):
            await locate(["Alice", "Bob"], rules)
    else:
        await locate(["Alice", "Bob"], rules)
        verdict = decide("Alice", examine("Alice", rules))
        assert (verdict.text, verdict.errors) == ("Alice", ("pii",))


async def test_a_model_that_judges_whole_texts_is_an_error(tmp_path: Path) -> None:
    model = names_model(tmp_path)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["input_ids"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", ["numbers"], ["logits"], axes=[1]),
        ],
        "whole",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        str(tmp_path / "model.onnx"),
    )
    with pytest.raises(ValueError, match="not a value for each token and label"):
        await Names("pii", model).places(["Alice"])


async def test_the_loop_turns_while_the_model_runs(tmp_path: Path) -> None:
    names = Names("pii", names_model(tmp_path))
    running = asyncio.create_task(names.places(["nobody " * 100_000]))
    turns = 0
    while not running.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    assert await running == [[]]


def test_nothing_is_judged_for_who_has_left(tmp_path: Path) -> None:
    left, names = Event(), Names("pii", names_model(tmp_path))
    assert names.judged(["Alice"], left) == [[(0, 5)]]
    left.set()
    assert names.judged(["Alice"], left) == [[]]


async def test_rules_that_name_the_same_file_share_it_until_it_changes(tmp_path: Path) -> None:
    first, second = Names("pii", names_model(tmp_path)), Names("pii", NamesModel(str(tmp_path / "model.onnx")))
    await first.places(["Alice"])
    await second.places(["Alice"])
    assert first._model._loaded is second._model._loaded is not None
    third = Names("pii", names_model(tmp_path, {"eve": {"B-PER": 20}}))
    assert await third.places(["Alice, Eve"]) == [[(7, 10)]]


def test_the_model_of_the_scenarios_is_the_one_that_is_made_here(tmp_path: Path) -> None:
    names_model(tmp_path)
    kept = Path(__file__).parents[4] / "e2e" / "names-model"
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {
        one.name: one.read_bytes() for one in kept.iterdir()
    }
