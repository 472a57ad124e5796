"""The configuration of the sidecars: what the operator writes and the guard and the cache read.

One document, `Contract`, in one file. It has no Kubernetes word in it, and it is versioned: a sidecar that meets a
version it does not know, an unknown field or a wrong type refuses the document whole and keeps the last good one.

    Contract
    +- model, engine, limits, access         the same for every request
    +- configurations (one or two)           what is served: split by weight while one replaces the other
       +- templates, default_template        prompts
       +- policy                             the guard's rules
       +- cache                              what may be remembered
"""

from llmops_sidecars.contract.access import (
    Access,
    ApiKeys,
    CertificateField,
    Jwt,
    RequiredClaim,
    Tenant,
    TenantLimits,
)
from llmops_sidecars.contract.checks import (
    HarmCategory,
    HarmRule,
    HarmThreshold,
    InjectionModel,
    InjectionRule,
    JsonSchemaRule,
    LanguageRule,
    LimitsRule,
    PromptLeakRule,
    Topic,
    TopicsRule,
    UnicodeKind,
    UnicodeRule,
    UrlKind,
    UrlsRule,
    WebhookRule,
)
from llmops_sidecars.contract.document import (
    VERSION,
    CacheSettings,
    Configuration,
    Contract,
    ContractError,
    Limits,
    decode,
    digest,
    encode,
    files,
)
from llmops_sidecars.contract.engine import (
    BenchmarkEngine,
    Engine,
    OpenAIEngine,
    TritonEmbedding,
    TritonGrpcEngine,
    TritonHttpEngine,
    TritonInterface,
    TritonLayout,
)
from llmops_sidecars.contract.matching import (
    IDENTIFYING,
    MOST_PHRASE_CHARACTERS,
    MOST_PHRASES,
    Country,
    NamesModel,
    Pattern,
    PatternsRule,
    PhrasesRule,
    PiiEntity,
    PiiRule,
    SecretsRule,
    phrases_of,
)
from llmops_sidecars.contract.policy import Audit, AuditText, Consent, Policy, Rule, StreamWindow
from llmops_sidecars.contract.prompts import Message, Parameters, Template, Variable, VariableType
from llmops_sidecars.contract.rule import Action, OnError, RuleModel

__all__ = [
    "IDENTIFYING",
    "MOST_PHRASES",
    "MOST_PHRASE_CHARACTERS",
    "VERSION",
    "Access",
    "Action",
    "ApiKeys",
    "Audit",
    "AuditText",
    "BenchmarkEngine",
    "CacheSettings",
    "CertificateField",
    "Configuration",
    "Consent",
    "Contract",
    "ContractError",
    "Country",
    "Engine",
    "HarmCategory",
    "HarmRule",
    "HarmThreshold",
    "InjectionModel",
    "InjectionRule",
    "JsonSchemaRule",
    "Jwt",
    "LanguageRule",
    "Limits",
    "LimitsRule",
    "Message",
    "NamesModel",
    "OnError",
    "OpenAIEngine",
    "Parameters",
    "Pattern",
    "PatternsRule",
    "PhrasesRule",
    "PiiEntity",
    "PiiRule",
    "Policy",
    "PromptLeakRule",
    "RequiredClaim",
    "Rule",
    "RuleModel",
    "SecretsRule",
    "StreamWindow",
    "Template",
    "Tenant",
    "TenantLimits",
    "Topic",
    "TopicsRule",
    "TritonEmbedding",
    "TritonGrpcEngine",
    "TritonHttpEngine",
    "TritonInterface",
    "TritonLayout",
    "UnicodeKind",
    "UnicodeRule",
    "UrlKind",
    "UrlsRule",
    "Variable",
    "VariableType",
    "WebhookRule",
    "decode",
    "digest",
    "encode",
    "files",
    "phrases_of",
]
