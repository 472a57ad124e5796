"""The sidecars' configuration: the contract's document, with templates and policy resolved."""

from __future__ import annotations

from msgspec import UNSET

from llmops_operator.api import PromptTemplateSpec
from llmops_operator.api.llmdeployment import (
    BenchmarkEngine,
    Cache,
    ExternalEngine,
    Limits,
    ModelRepositoryEngine,
    Protocol,
    VLLMEngine,
)
from llmops_operator.api.parameters import AllowedParameter, InferenceParameters
from llmops_operator.api.prompttemplate import TemplateMessage
from llmops_operator.api.units import to_bytes, to_seconds
from llmops_operator.api.variables import MOST_ITEMS, TemplateVariable
from llmops_operator.desired import access, paths, policy, revision, shared, templates, triton
from llmops_operator.desired.facts import EngineSpec, Facts
from llmops_sidecars import contract


def build(facts: Facts) -> contract.Contract:
    """The contract of one LLMDeployment."""
    return contract.Contract(
        model=facts.spec.model.name,
        engine=_engine(facts.engine),
        configurations=(_configuration(facts),),
        limits=_limits(facts.spec.limits),
        fallback=_external(facts.fallback, paths.FALLBACK_FILE) if facts.fallback else None,
        access=access.settings(facts.access),
    )


def revision_of(facts: Facts) -> str:
    """The name of what is served: engine and configuration."""
    configuration = revision.configuration_digest(facts.spec, facts.templates, facts.policy)
    return revision.revision(revision.engine_digest(facts.spec, facts.policy), configuration)


def _configuration(facts: Facts) -> contract.Configuration:
    prompts = facts.spec.prompts
    return contract.Configuration(
        revision=revision_of(facts),
        templates=tuple(template(name, spec) for name, spec in facts.templates.items()),
        default_template=prompts.default if prompts else None,
        policy=policy.settings(facts.policy) if facts.policy else contract.Policy(),
        cache=_cache(facts),
    )


def _engine(engine: EngineSpec) -> contract.Engine:
    match engine:
        case ExternalEngine():
            return _external(engine, paths.CREDENTIALS_FILE)
        case BenchmarkEngine():
            first, between = engine.first_token_milliseconds, engine.inter_token_milliseconds
            return contract.BenchmarkEngine(engine.tokens, first / 1000, between / 1000)
        case ModelRepositoryEngine():
            return _repository_engine(engine)
        case VLLMEngine():
            interface = contract.TritonInterface.VLLM
            return contract.TritonGrpcEngine(triton.GRPC_ADDRESS, triton.VLLM_MODEL, interface)
        case _:
            return contract.TritonGrpcEngine(triton.GRPC_ADDRESS, triton.LLMAPI_MODEL)


def _external(engine: ExternalEngine, key_file: str) -> contract.OpenAIEngine:
    key = key_file if engine.credentials_secret_ref else None
    return contract.OpenAIEngine(engine.url, engine.model, key, tuple(engine.further_urls))


def _repository_engine(engine: ModelRepositoryEngine) -> contract.Engine:
    interface = contract.TritonInterface(engine.interface)
    layout = contract.TritonLayout(engine.layout) if engine.layout else None
    found = engine.embedding
    embedding = contract.TritonEmbedding(found.model, found.input, found.output) if found else None
    if engine.protocol is Protocol.HTTP:
        return contract.TritonHttpEngine(triton.HTTP_URL, engine.model, interface, layout, embedding)
    return contract.TritonGrpcEngine(triton.GRPC_ADDRESS, engine.model, interface, layout, embedding)


def _limits(limits: Limits) -> contract.Limits:
    return contract.Limits(
        concurrent_requests=limits.concurrent_requests,
        queued_requests=limits.queued_requests,
        body_bytes=to_bytes(limits.body_bytes),
        output_tokens=limits.output_tokens,
        request_seconds=limits.request_seconds,
        first_token_seconds=limits.first_token_seconds,
        inter_token_seconds=limits.inter_token_seconds,
        queue_seconds=limits.queue_seconds,
    )


def _cache(facts: Facts) -> contract.CacheSettings:
    cache = facts.spec.cache or Cache()
    ttl = to_seconds(cache.exact.ttl) if cache.exact else 0.0
    store = shared.settings(facts) or UNSET
    return contract.CacheSettings(ttl_seconds=ttl, max_bytes=to_bytes(cache.max_bytes), shared=store)


def template(name: str, spec: PromptTemplateSpec) -> contract.Template:
    """A template without includes, as the guard fills it."""
    return contract.Template(
        id=name,
        version=revision.version(spec),
        messages=tuple(map(_message, templates.placed(spec))),
        variables=tuple(map(_variable, spec.variables)),
        parameters=_parameters(spec.parameters) if spec.parameters else contract.Parameters(),
    )


def _message(one: TemplateMessage) -> contract.Message:
    calls = tuple(contract.TemplateCall(call.id, call.name, call.arguments) for call in one.tool_calls or ())
    return contract.Message(one.role, one.content or "", calls, one.tool_call_id)


def _variable(one: TemplateVariable) -> contract.Variable:
    default = contract.Variable(one.name)
    return contract.Variable(
        name=one.name,
        type=contract.VariableType(one.type),
        required=one.required,
        default=one.default,
        max_length=one.max_length,
        minimum=_number(one.minimum),
        maximum=_number(one.maximum),
        values=tuple(one.values or ()),
        max_items=MOST_ITEMS if one.max_items is None else one.max_items,
        separator=default.separator if one.separator is None else one.separator,
        default_items=tuple(one.default_items or ()),
        description=one.description,
    )


def _parameters(parameters: InferenceParameters) -> contract.Parameters:
    return contract.Parameters(
        temperature=_number(parameters.temperature),
        top_p=_number(parameters.top_p),
        max_tokens=parameters.max_tokens,
        stop=tuple(parameters.stop),
        seed=parameters.seed,
        presence_penalty=_number(parameters.presence_penalty),
        frequency_penalty=_number(parameters.frequency_penalty),
        allow=None if parameters.allow is None else tuple(map(_allowed, parameters.allow)),
    )


def _allowed(one: AllowedParameter) -> contract.AllowedParameter:
    name = contract.Parameter[one.name.name]
    return contract.AllowedParameter(name, _number(one.minimum), _number(one.maximum))


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
