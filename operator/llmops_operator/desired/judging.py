"""What the rules on whole texts make of a pod and of its sidecars' configuration.

Tokens, keys and authorities of webhooks are mounted into the guard alone, in one directory and each under the name of
its object, so that moving a rule in a policy changes no pod. What does not exist is not there: the guard refuses then,
and says which rule could not run. The operator reads no Secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET, UnsetType

from llmops_operator.api import GuardPolicySpec
from llmops_operator.api.common import ConfigMapKey, SecretKey
from llmops_operator.api.guardpolicy import PolicyRule
from llmops_operator.api.judging import Audit, Consent, Topic, Webhook
from llmops_operator.api.units import to_seconds
from llmops_operator.desired import paths
from llmops_sidecars import contract

Document = dict[str, Any]
Reference = SecretKey | ConfigMapKey

WEBHOOKS = "webhooks"


def translated(rule: PolicyRule) -> contract.Rule | None:
    """A rule as the guard reads it; None for one of another kind."""
    return _of_texts(rule) or _of_whole(rule)


def consent(given: Consent | None) -> contract.Consent | UnsetType:
    """What callers have to say."""
    return UNSET if given is None else contract.Consent(given.header, given.claim, given.required)


def audit(given: Audit | None) -> contract.Audit | UnsetType:
    """What auditors get to read."""
    return UNSET if given is None else contract.Audit(given.verdicts, given.text)


def counts_tokens(spec: GuardPolicySpec) -> bool:
    """Whether a policy needs the model's tokenizer."""
    return any(rule.limits is not None and rule.limits.tokens is not None for rule in spec.input)


def webhooks(spec: GuardPolicySpec) -> tuple[Webhook, ...]:
    """The services that a policy asks."""
    return tuple(rule.webhook for rule in (*spec.input, *spec.output) if rule.webhook is not None)


def references(spec: GuardPolicySpec) -> tuple[str, ...]:
    """The files that are mounted for a policy; other ones need new pods."""
    return tuple(sorted({_path(one) for webhook in webhooks(spec) for one in _references(webhook)}))


def volumes(spec: GuardPolicySpec) -> list[Document]:
    """One volume with the files of all webhooks."""
    found = {_path(one): one for webhook in webhooks(spec) for one in _references(webhook)}
    sources = [_source(found[path], path) for path in sorted(found)]
    if not sources:
        return []
    return [{"name": WEBHOOKS, "projected": {"sources": sources, "defaultMode": paths.OWNER_AND_GROUP}}]


def mounts(spec: GuardPolicySpec) -> list[Document]:
    """Its directory, for the guard."""
    if not references(spec):
        return []
    return [{"name": WEBHOOKS, "mountPath": paths.WEBHOOKS_DIRECTORY, "readOnly": True}]


def _of_texts(rule: PolicyRule) -> contract.Rule | None:
    if rule.harm is not None:
        categories = tuple(contract.HarmThreshold(one.category, float(one.threshold)) for one in rule.harm.categories)
        return contract.HarmRule(categories, contract.Action(rule.harm.action))
    if rule.unicode is not None:
        return contract.UnicodeRule(tuple(rule.unicode.kinds), contract.Action(rule.unicode.action))
    if rule.urls is not None:
        urls = rule.urls
        lists = (tuple(urls.allow), tuple(urls.deny), tuple(urls.schemes), tuple(urls.kinds))
        return contract.UrlsRule(*lists, action=contract.Action(urls.action))
    if rule.special_tokens is not None:
        return contract.SpecialTokensRule(
            tuple(rule.special_tokens.tokens), contract.Action(rule.special_tokens.action)
        )
    if rule.prompt_leak is not None:
        return contract.PromptLeakRule(rule.prompt_leak.letters, contract.Action(rule.prompt_leak.action))
    return None


def _of_whole(rule: PolicyRule) -> contract.Rule | None:
    if rule.json_schema is not None:
        return contract.JsonSchemaRule(rule.json_schema.document, contract.Action(rule.json_schema.action))
    if rule.language is not None:
        language = rule.language
        return contract.LanguageRule(
            tuple(language.allowed),
            float(language.confidence),
            language.minimum_characters,
            contract.Action(language.action),
        )
    if rule.limits is not None:
        limits = rule.limits
        file = paths.TOKENIZER_FILE if limits.tokens is not None else None
        action = contract.Action(limits.action)
        return contract.LimitsRule(limits.messages, limits.characters, limits.tokens, file, action)
    if rule.topics is not None:
        allowed, denied = tuple(map(_topic, rule.topics.allowed)), tuple(map(_topic, rule.topics.denied))
        return contract.TopicsRule(allowed, denied, contract.Action(rule.topics.action))
    return None if rule.webhook is None else _webhook(rule.webhook)


def _topic(topic: Topic) -> contract.Topic:
    threshold = None if topic.threshold is None else float(topic.threshold)
    return contract.Topic(topic.name, tuple(topic.examples), tuple(topic.keywords), threshold)


def _webhook(webhook: Webhook) -> contract.WebhookRule:
    return contract.WebhookRule(
        url=webhook.url,
        timeout_seconds=to_seconds(webhook.timeout),
        token_file=_file(webhook.token_secret_ref),
        key_file=_file(webhook.signing_key_secret_ref),
        authorities_file=_file(_authority(webhook)),
        action=contract.Action(webhook.action),
        on_error=contract.OnError(webhook.on_error) if webhook.on_error else None,
    )


def _authority(webhook: Webhook) -> Reference | None:
    authority = webhook.certificate_authority
    return (authority.config_map or authority.secret) if authority else None


def _references(webhook: Webhook) -> Iterator[Reference]:
    for one in (webhook.token_secret_ref, webhook.signing_key_secret_ref, _authority(webhook)):
        if one is not None:
            yield one


def _file(reference: Reference | None) -> str | None:
    return None if reference is None else f"{paths.WEBHOOKS_DIRECTORY}/{_path(reference)}"


def _path(reference: Reference) -> str:
    kind = "secret" if isinstance(reference, SecretKey) else "config-map"
    return f"{kind}/{reference.name}/{reference.key}"


def _source(reference: Reference, path: str) -> Document:
    kind = "secret" if isinstance(reference, SecretKey) else "configMap"
    items = [{"key": reference.key, "path": path}]
    return {kind: {"name": reference.name, "items": items, "optional": True}}
