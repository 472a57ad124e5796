"""What `check-policy` and `render` give the guard's code to work with: a policy, or a template, as a contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from msgspec.structs import replace

from llmops_operator import names
from llmops_operator.api import GuardPolicySpec, PromptTemplateSpec
from llmops_operator.decide.checks import list_problem
from llmops_operator.decide.offline import Placed, UnreadableError, lists_in, named, read_documents
from llmops_operator.decide.templates import readable, template_problem
from llmops_operator.desired import policy
from llmops_operator.desired.contract import template as contract_template
from llmops_operator.desired.facts import Policy
from llmops_operator.desired.templates import resolved
from llmops_operator.world import Invalid, Lists, resource
from llmops_sidecars import contract

CONTRACT = "contract.json"
HASH_KEY = "hash-key"

TRIAL_KEY = b"a key for trials alone"
"""Hashes in a trial are others than in the cluster: the Secret is not at hand."""

NO_ENGINE = contract.TritonHttpEngine("http://nowhere")


def contract_for(files: Mapping[str, str], folder: PurePath) -> dict[str, bytes]:
    """The files, by name, that have to stand in a folder for a trial; raises UnreadableError."""
    placed, lists = _only_policy(files)
    spec = _spec(placed, lists)
    found = {key: lists[key[0]][key[1]] for key in policy.lists_of(spec)}
    tried = Policy(placed.key[2], spec, found)
    configuration = contract.Configuration("trial", policy=_local(policy.settings(tried), folder))
    document = contract.Contract("trial", NO_ENGINE, (configuration,))
    listed = {name: text.encode() for name, text in policy.files(tried).items()}
    return {CONTRACT: contract.encode(document), HASH_KEY: TRIAL_KEY, **listed}


def contract_with_template(files: Mapping[str, str]) -> bytes:
    """The contract's document with the first template of the first file; raises UnreadableError.

    The others are there to be included.
    """
    found = [one for one in read_documents(files) if one.kind == names.PROMPT_TEMPLATE]
    first = next(iter(files))
    if not found or found[0].file != first:
        raise UnreadableError(f"{first}: there is no PromptTemplate in it")
    placed = found[0]
    near = [one for one in found if one.key[1] == placed.key[1]]
    templates, name = named(near, names.PROMPT_TEMPLATE, PromptTemplateSpec), placed.key[2]
    problem = template_problem(name, templates)
    if problem is not None:
        raise UnreadableError(f"{placed.file}: {placed.title}: {problem.message}")
    template = contract_template(name, resolved(name, readable(templates)))
    configuration = contract.Configuration("trial", templates=(template,))
    return contract.encode(contract.Contract("trial", NO_ENGINE, (configuration,)))


def _only_policy(files: Mapping[str, str]) -> tuple[Placed, Lists]:
    """The one policy in the files, and the lists of its namespace."""
    found = read_documents(files)
    policies = [one for one in found if one.kind == names.GUARD_POLICY]
    if len(policies) != 1:
        told = ", ".join(one.title for one in policies) or "none"
        raise UnreadableError(f"{', '.join(files)}: one GuardPolicy is tried at a time; found {told}")
    return policies[0], lists_in(one for one in found if one.key[1] == policies[0].key[1])


def _spec(placed: Placed, lists: Lists) -> GuardPolicySpec:
    spec = resource(placed.document, GuardPolicySpec).spec
    if isinstance(spec, Invalid):
        raise UnreadableError(f"{placed.file}: {placed.title}: correct the spec: {spec.reason}")
    problem = list_problem(spec, lists)
    if problem is not None:
        raise UnreadableError(f"{placed.file}: {placed.title}: {problem.message}")
    return spec


def _local(settings: contract.Policy, folder: PurePath) -> contract.Policy:
    """The policy with its files in a folder of this machine."""
    directions = {name: tuple(_moved(rule, folder) for rule in getattr(settings, name)) for name in ("input", "output")}
    keyed = {"hash_key_file": str(folder / HASH_KEY)} if settings.hash_key_file else {}
    return replace(settings, **directions, **keyed)


def _moved(rule: contract.Rule, folder: PurePath) -> contract.Rule:
    if not isinstance(rule, contract.PhrasesRule) or rule.file is None:
        return rule
    return replace(rule, file=str(folder / PurePath(rule.file).name))
