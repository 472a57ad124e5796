"""What is served, as digests of what users wrote: never of the operator's own images and settings.

The engine digest covers what makes a pod: a change needs new pods. The configuration digest covers what the sidecars
reload in running pods. `requestSeconds` and `maxBytes` stand in both: sidecars obey them, and they size the pod (its
grace period, its memory).

Of access, the engine digest covers which Secrets are mounted, and nothing is in the other one: who may ask says nothing
about what is answered, so a tenant's new limit makes no new revision.

Values that equal their default are left out, so that a field added in a later version changes no digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from llmops_operator.api import LLMDeploymentSpec, PromptTemplateSpec
from llmops_operator.api.access import Access
from llmops_operator.api.llmdeployment import Cache
from llmops_operator.desired import access, brought, judging, shared
from llmops_operator.desired.digest import digest
from llmops_operator.desired.facts import Policy


def content(model: BaseModel | None) -> Any:
    """What a user wrote, in the API's words, without what equals a default."""
    return None if model is None else model.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def version(spec: BaseModel) -> str:
    """The version of a PromptTemplate or GuardPolicy: the digest of its content."""
    return digest(content(spec))


def policy_version(policy: Policy) -> str:
    """The version of a GuardPolicy with the lists that it names: a change of a list is a change of the policy."""
    if not policy.lists:
        return version(policy.spec)
    lists = {"/".join(key): digest(text) for key, text in policy.lists.items()}
    return digest({"spec": content(policy.spec), "lists": lists})


def engine_digest(spec: LLMDeploymentSpec, policy: Policy | None = None) -> str:
    """The digest of the engine part. The model's name is not in it: the sidecars alone know it.

    Of access, the policy and the shared cache, what is mounted for them is in it: Secrets, files, and models that a
    policy brings along.
    """
    mounted = access.pod_part(spec.access or Access())
    hash_key = content(policy.spec.hash_key_secret_ref) if policy else None
    files = judging.references(policy.spec) if policy else ()
    models = brought.pod_part(policy.spec) if policy else []
    sharing = shared.pod_part(spec)
    return digest(
        {
            "source": content(spec.model.source),
            "engine": content(spec.engine) or {"tensorRTLLM": {}},
            "resources": content(spec.resources) or {},
            "scheduling": content(spec.scheduling) or {},
            "requestSeconds": spec.limits.request_seconds,
            "cacheBytes": (spec.cache or Cache()).max_bytes,
            **({"access": mounted} if mounted else {}),
            **({"hashKey": hash_key} if hash_key else {}),
            **({"webhooks": list(files)} if files else {}),
            **({"guardModels": models} if models else {}),
            **({"sharedCache": sharing} if sharing else {}),
        }
    )


def configuration_digest(
    spec: LLMDeploymentSpec, templates: Mapping[str, PromptTemplateSpec], policy: Policy | None
) -> str:
    """The digest of the configuration part, the content of templates and policy included."""
    return digest(
        {
            "model": spec.model.name,
            "templates": {name: version(template) for name, template in templates.items()},
            "default": spec.prompts.default if spec.prompts else None,
            "policy": {policy.name: policy_version(policy)} if policy else None,
            "cache": content(spec.cache),
            "limits": content(spec.limits),
        }
    )


def revision(engine: str, configuration: str) -> str:
    """The name of both parts together, as answers and metrics carry it."""
    return digest([engine, configuration])[:10]
