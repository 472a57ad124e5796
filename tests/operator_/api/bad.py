"""Specs that models and API server alike must refuse: (name, kind, spec, what the message must say)."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

COMMIT = "0" * 40
HUB = {"huggingFace": {"repository": "acme/model", "revision": COMMIT}}
VOLUME = {"volume": {"claimName": "models"}}
SERVED = {"model": {"name": "m", "source": HUB}, "resources": {"gpus": 1}}
REPOSITORY = {"modelRepository": {"image": "triton:1"}}
CLIMBING = {"image": {"reference": "models:1", "path": "../secrets"}}
KEY = {"name": "authority", "key": "ca.crt"}
EXTERNAL = {"external": {"url": "https://api.example.com/v1", "model": "x"}}


BENCHMARK: Document = {"benchmark": {}}
FALLBACK = {"fallback": EXTERNAL}
KEYS = {"secretName": "keys"}
JWT: Document = {"issuer": "https://login.example", "audiences": ["chat"]}
CLAIM = {"name": "a", "values": ["b"]}
FROM_VOLUME = {"volume": {"claimName": "models"}}
MUTUAL = {"secretName": "t", "clientCASecretName": "c"}


def served(**change: Any) -> Document:
    return SERVED | change


def rule(**change: Any) -> Document:
    return {"input": [change]}


def harm(threshold: object) -> Document:
    return rule(harm={"categories": [{"category": "Hate", "threshold": threshold}]})


def topics(*denied: Document) -> Document:
    return rule(topics={"denied": list(denied)})


def webhook(**change: Any) -> Document:
    return rule(webhook={"url": "https://example.com/judge"} | change)


def repository(**change: Any) -> Document:
    return {"model": {"name": "m"}, "engine": REPOSITORY, **change}


def triton(**change: Any) -> Document:
    return repository(engine={"modelRepository": {"image": "triton:1", **change}})


def further(*urls: str) -> Document:
    return {"external": EXTERNAL["external"] | {"furtherUrls": list(urls)}}


STORE = {"valkey": {"url": "valkey://valkey"}}


def store(url: str, **change: Any) -> Document:
    return repository(cache={"exact": {}, "shared": {"valkey": {"url": url, **change}}})


def access(**change: Any) -> Document:
    return repository(access=change)


def tensorrt(**change: Any) -> Document:
    return SERVED | {"engine": {"tensorRTLLM": change}}


def parameter(**change: Any) -> Document:
    return {"messages": [{"role": "user", "content": "hi"}], "parameters": change}


def pattern(*expressions: str) -> Document:
    return rule(patterns=[{"name": "p", "expression": one} for one in expressions])


def classifier(**change: Any) -> Document:
    return rule(injection={"model": change})


def names_by(**change: Any) -> Document:
    return rule(pii={"entities": ["PersonName"], "model": change})


def message(role: str, **change: Any) -> Document:
    return {"messages": [{"role": role, **change}]}


def variable(**change: Any) -> Document:
    return {"messages": [{"role": "user", "content": "hi"}], "variables": [{"name": "a", **change}]}


CALL = {"id": "c", "name": "look", "arguments": "{}"}

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
    ("an unknown interface", "LLMDeployment", triton(interface="TGI"), "interface"),
    ("an unknown layout", "LLMDeployment", triton(layout="Chunks"), "layout"),
    (
        "an embedding model without its output",
        "LLMDeployment",
        triton(embedding={"model": "e", "input": "i"}),
        "output",
    ),
    (
        "a tensor that can have no such name",
        "LLMDeployment",
        triton(embedding={"model": "e", "input": "a b", "output": "o"}),
        "embedding.input",
    ),
    ("a benchmark beside an engine", "LLMDeployment", repository(engine=REPOSITORY | BENCHMARK), "at most one of"),
    ("a benchmark with a fallback", "LLMDeployment", repository(engine=BENCHMARK | FALLBACK), "has no fallback"),
    ("a benchmark with a source", "LLMDeployment", served(engine=BENCHMARK), "external or benchmark engine has no"),
    ("a benchmark of no words", "LLMDeployment", repository(engine={"benchmark": {"tokens": 0}}), "tokens"),
    (
        "a benchmark that waits too long",
        "LLMDeployment",
        repository(engine={"benchmark": {"firstTokenMilliseconds": 60_001}}),
        "firstTokenMilliseconds",
    ),
    (
        "a benchmark that goes back in time",
        "LLMDeployment",
        repository(engine={"benchmark": {"interTokenMilliseconds": -1}}),
        "interTokenMilliseconds",
    ),
    ("a fallback without a provider", "LLMDeployment", repository(engine=REPOSITORY | {"fallback": {}}), "external"),
    (
        "a fallback that is no provider",
        "LLMDeployment",
        repository(engine=REPOSITORY | {"fallback": REPOSITORY}),
        "modelRepository",
    ),
    ("an address that is none", "LLMDeployment", repository(engine=further("ftp://a")), "furtherUrls"),
    ("an address twice", "LLMDeployment", repository(engine=further("http://a", "http://a")), "furtherUrls"),
    (
        "too many addresses",
        "LLMDeployment",
        repository(engine=further(*map("http://a{}".format, range(9)))),
        "furtherUrls",
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
        "external or benchmark engine",
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
    ("a Secret that is none", "LLMDeployment", access(apiKeys={"secretName": "Not A Name"}), "secretName"),
    ("API keys from nowhere", "LLMDeployment", access(apiKeys={}), "secretName"),
    ("an issuer without TLS", "LLMDeployment", access(jwt=JWT | {"issuer": "http://login.example"}), "issuer"),
    ("tokens for everybody", "LLMDeployment", access(jwt=JWT | {"audiences": []}), "audiences"),
    ("keys by plain HTTP", "LLMDeployment", access(jwt=JWT | {"jwksUrl": "http://login.example/keys"}), "jwksUrl"),
    ("a key set with a password", "LLMDeployment", access(jwt=JWT | {"jwksUrl": "https://u:p@x/k"}), "jwksUrl"),
    ("keys for ever", "LLMDeployment", access(jwt=JWT | {"keyMaxAge": "999h"}), "between 5m and 168h"),
    ("a claim of no value", "LLMDeployment", access(jwt=JWT | {"requiredClaims": [{"name": "a"}]}), "values"),
    ("a claim twice", "LLMDeployment", access(jwt=JWT | {"requiredClaims": [CLAIM] * 2}), "requiredClaims"),
    ("a scope of two words", "LLMDeployment", access(jwt=JWT | {"requiredScopes": ["a b"]}), "requiredScopes"),
    ("TLS without a certificate", "LLMDeployment", access(tls={}), "secretName"),
    (
        "a tenant of clients that show no certificate",
        "LLMDeployment",
        access(tls={"secretName": "t", "clientTenant": "CommonName"}),
        "clientTenant needs clientCASecretName",
    ),
    (
        "clients that may connect and nobody knows",
        "LLMDeployment",
        access(tls={"secretName": "t", "clientCASecretName": "c"}),
        "says who may connect, not who asks",
    ),
    (
        "an unknown name of certificates",
        "LLMDeployment",
        access(tls=MUTUAL | {"clientTenant": "Serial"}),
        "clientTenant",
    ),
    ("tenants that nobody can tell apart", "LLMDeployment", access(tenants=[{"name": "a"}]), "tenants are told apart"),
    ("a tenant twice", "LLMDeployment", access(apiKeys=KEYS, tenants=[{"name": "a"}] * 2), "tenants"),
    ("a tenant without a name", "LLMDeployment", access(apiKeys=KEYS, tenants=[{"weight": 2}]), "name"),
    ("no requests at all", "LLMDeployment", access(default={"requestsPerMinute": 0}), "requestsPerMinute"),
    ("a limit that is text", "LLMDeployment", access(default={"tokensPerMinute": "9"}), "tokensPerMinute"),
    ("a tenant of no weight", "LLMDeployment", access(default={"weight": 0}), "weight"),
    ("a queue without end", "LLMDeployment", repository(limits={"queueSeconds": 0}), "queueSeconds"),
    ("no messages", "PromptTemplate", {"messages": []}, "messages"),
    ("an unknown role", "PromptTemplate", {"messages": [{"role": "robot", "content": "x"}]}, "role"),
    ("a message of nothing", "PromptTemplate", message("user"), "needs content"),
    ("an assistant who says nothing", "PromptTemplate", message("assistant"), "needs content"),
    (
        "a caller who is no assistant",
        "PromptTemplate",
        message("user", content="x", toolCalls=[CALL]),
        "the role assis",
    ),
    ("a call twice", "PromptTemplate", message("assistant", toolCalls=[CALL, CALL]), "toolCalls"),
    ("a call without arguments", "PromptTemplate", message("assistant", toolCalls=[{"id": "c", "name": "n"}]), "argum"),
    ("a tool that answers nothing", "PromptTemplate", message("tool", content="x"), "tool needs toolCallId"),
    ("an answer of no tool", "PromptTemplate", message("user", content="x", toolCallId="c"), "no other role has it"),
    ("a call's id with a space", "PromptTemplate", message("tool", content="x", toolCallId="c 1"), "toolCallId"),
    (
        "an example without its answer",
        "PromptTemplate",
        message("user", content="x") | {"examples": [{"user": "x"}]},
        "ass",
    ),
    ("required with a default", "PromptTemplate", variable(required=True, default="x"), "no default"),
    (
        "a default of another type",
        "PromptTemplate",
        variable(type="integer", default="x"),
        "not of the variable's type",
    ),
    ("two rules in one", "GuardPolicy", rule(pii={}, secrets={}), "exactly one of harm"),
    ("no rule in one", "GuardPolicy", rule(), "exactly one of harm"),
    ("an unknown entity", "GuardPolicy", rule(pii={"entities": ["Shoe"]}), "entities"),
    ("an expression that RE2 refuses", "GuardPolicy", pattern("(a"), "expression"),
    ("a look-behind", "GuardPolicy", pattern("(?<=a)b"), "expression"),
    ("a hold-back out of bounds", "GuardPolicy", {"stream": {"holdBackCharacters": 1}}, "holdBackCharacters"),
    ("a wrong kind of whole number", "LLMDeployment", served(replicas="2"), "replicas"),
    ("a path of an image that climbs", "LLMDeployment", served(model={"name": "m", "source": CLIMBING}), "climb"),
    ("no memory to speak of", "LLMDeployment", served(resources={"gpus": 1, "memory": "500m"}), "between 1Mi and"),
    ("no cores", "LLMDeployment", served(resources={"gpus": 1, "cpu": "0"}), "between 1m and"),
    ("a body of nothing", "LLMDeployment", repository(limits={"bodyBytes": "1"}), "between 1Ki and 64Mi"),
    ("a body without end", "LLMDeployment", repository(limits={"bodyBytes": "1Gi"}), "between 1Ki and 64Mi"),
    ("a cache without room", "LLMDeployment", repository(cache={"maxBytes": "0"}), "between 1Mi and 64Gi"),
    ("a store and nothing to keep", "LLMDeployment", repository(cache={"shared": STORE}), "shared needs exact"),
    ("a store's password in the URL", "LLMDeployment", store("valkey://u:secret@valkey"), "url"),
    ("a store that is no Valkey", "LLMDeployment", store("https://valkey"), "url"),
    ("a store's port beyond all", "LLMDeployment", store("valkey://valkey:65536"), "url"),
    ("a store's user without password", "LLMDeployment", store("valkey://u@valkey"), "needs credentialsSecretRef"),
    (
        "a store's authority without TLS",
        "LLMDeployment",
        store("redis://v", caSecretName="c"),
        "valkeys:// or rediss://",
    ),
    ("a cache without end", "LLMDeployment", repository(cache={"exact": {"ttl": "999h"}}), "between 1s and 720h"),
    ("more than all of the memory", "LLMDeployment", tensorrt(kvCacheFraction="1.5"), "share above 0"),
    ("none of the memory", "LLMDeployment", tensorrt(kvCacheFraction="0.0"), "share above 0"),
    ("a number that is not text", "LLMDeployment", tensorrt(kvCacheFraction=0.5), "kvCacheFraction"),
    ("a default without templates", "LLMDeployment", repository(prompts={"default": "b"}), "one of templates"),
    ("a template twice", "LLMDeployment", repository(prompts={"templates": [{"name": "a"}] * 2}), "templates"),
    (
        "a product twice",
        "LLMDeployment",
        served(resources={"gpus": 1, "gpuProducts": ["NVIDIA-H200"] * 2}),
        "gpuProducts",
    ),
    (
        "a toleration that exists and compares",
        "LLMDeployment",
        repository(scheduling={"tolerations": [{"key": "a", "value": "b"}]}),
        "Exists takes none",
    ),
    (
        "a label that is none",
        "LLMDeployment",
        repository(scheduling={"nodeSelector": {"not a label": "b"}}),
        "must be label keys",
    ),
    (
        "a repository that climbs",
        "LLMDeployment",
        served(model={"name": "m", "source": {"huggingFace": {"repository": "../..", "revision": COMMIT}}}),
        "repository",
    ),
    ("a default that is too long", "PromptTemplate", variable(default="abc", maxLength=2), "longer than maxLength"),
    ("a number with a leading zero", "PromptTemplate", variable(type="integer", default="007"), "variable's type"),
    ("a number that is none", "PromptTemplate", variable(type="number", default="NaN"), "variable's type"),
    ("a truth that is none", "PromptTemplate", variable(type="boolean", default="yes"), "variable's type"),
    ("a default of a list as text", "PromptTemplate", variable(type="list", default="a"), "has defaultItems instead"),
    ("required with default items", "PromptTemplate", variable(type="list", required=True, defaultItems=[]), "default"),
    ("default items of a text", "PromptTemplate", variable(defaultItems=["a"]), "are for the type list"),
    ("a separator of a text", "PromptTemplate", variable(separator="-"), "are for the type list"),
    ("a number of items of a text", "PromptTemplate", variable(maxItems=2), "are for the type list"),
    (
        "too many default items",
        "PromptTemplate",
        variable(type="list", maxItems=1, defaultItems=["a", "b"]),
        "maxItems",
    ),
    (
        "a default item that is too long",
        "PromptTemplate",
        variable(type="list", maxLength=1, defaultItems=["ab"]),
        "one",
    ),
    ("default items that are no texts", "PromptTemplate", variable(type="list", defaultItems=[1]), "defaultItems"),
    ("an enum of nothing", "PromptTemplate", variable(type="enum"), "enum needs values"),
    ("an enum of no values", "PromptTemplate", variable(type="enum", values=[]), "values"),
    ("a value twice", "PromptTemplate", variable(type="enum", values=["a", "a"]), "values"),
    ("values of a text", "PromptTemplate", variable(values=["a"]), "no other type has them"),
    (
        "a default among no values",
        "PromptTemplate",
        variable(type="enum", values=["a"], default="b"),
        "variable's type",
    ),
    ("a least text", "PromptTemplate", variable(minimum="1"), "are for the types number and integer"),
    (
        "a highest truth",
        "PromptTemplate",
        variable(type="boolean", maximum="1"),
        "are for the types number and integer",
    ),
    ("bounds that cross", "PromptTemplate", variable(type="integer", minimum="2", maximum="1"), "above maximum"),
    ("a bound that is no number", "PromptTemplate", variable(type="integer", minimum="one"), "minimum"),
    ("a default below", "PromptTemplate", variable(type="integer", minimum="2", default="1"), "between minimum"),
    ("a default above", "PromptTemplate", variable(type="number", maximum="-0.5", default="0.25"), "between minimum"),
    ("a variable of an unknown type", "PromptTemplate", variable(type="object"), "type"),
    ("a variable twice", "PromptTemplate", variable() | {"variables": [{"name": "a"}] * 2}, "variables"),
    ("too hot", "PromptTemplate", parameter(temperature="2.5"), "between 0 and 2"),
    ("a penalty beyond all", "PromptTemplate", parameter(presencePenalty="-2.5"), "between -2 and 2"),
    ("a penalty that is no text", "PromptTemplate", parameter(frequencyPenalty=1), "frequencyPenalty"),
    ("a seed below nothing", "PromptTemplate", parameter(seed=-1), "seed"),
    ("a parameter that there is not", "PromptTemplate", parameter(allow=[{"name": "top_p"}]), "allow"),
    ("a parameter twice", "PromptTemplate", parameter(allow=[{"name": "seed"}] * 2), "allow"),
    ("a least stop word", "PromptTemplate", parameter(allow=[{"name": "stop", "minimum": "1"}]), "stop has no minimum"),
    (
        "a parameter of which nothing is left",
        "PromptTemplate",
        parameter(allow=[{"name": "temperature", "minimum": "1", "maximum": "0.5"}]),
        "minimum is above maximum",
    ),
    ("nothing to choose from", "PromptTemplate", parameter(topP="0"), "share above 0"),
    ("a back-reference", "GuardPolicy", pattern(r"(a)\1"), "expression"),
    ("an expression without end", "GuardPolicy", pattern("((a{100}){100}){100}"), "expression"),
    ("a pattern's name twice", "GuardPolicy", pattern("a", "b"), "patterns"),
    ("an unknown country", "GuardPolicy", rule(pii={"countries": ["XX"]}), "countries"),
    ("a country twice", "GuardPolicy", rule(pii={"countries": ["DE", "DE"]}), "countries"),
    ("a secret made coarser", "GuardPolicy", rule(secrets={"action": "Generalise"}), "action"),
    ("nothing to come back", "GuardPolicy", rule(pii={"unmask": True, "action": "Block"}), "unmask needs the action"),
    (
        "no way back",
        "GuardPolicy",
        {"output": [{"secrets": {}}, {"pii": {"unmask": True}}]},
        "unmask is for input",
    ),
    ("a hash without a key", "GuardPolicy", rule(pii={"action": "Hash"}), "name a Secret in hashKeySecretRef"),
    (
        "a hash without a key in an answer",
        "GuardPolicy",
        {"output": [{"patterns": [{"name": "p", "expression": "a", "action": "Hash"}]}]},
        "name a Secret in hashKeySecretRef",
    ),
    ("a key without its Secret", "GuardPolicy", {"hashKeySecretRef": {"key": "k"}}, "name"),
    ("an attack made coarser", "GuardPolicy", rule(injection={"action": "Mask"}), "action"),
    ("everything an attack", "GuardPolicy", rule(injection={"threshold": "0"}), "between 0 and 1, neither"),
    ("nothing an attack", "GuardPolicy", rule(injection={"threshold": "1.0"}), "between 0 and 1, neither"),
    ("a threshold that is no number", "GuardPolicy", rule(injection={"threshold": "high"}), "threshold"),
    ("attacks in answers", "GuardPolicy", {"output": [{"injection": {}}]}, "are for input"),
    ("a classifier from nowhere", "GuardPolicy", classifier(), "exactly one of volume, image"),
    (
        "a classifier from two places",
        "GuardPolicy",
        classifier(volume={"claimName": "a"}, image={"reference": "b:1"}),
        "exactly one of volume, image",
    ),
    ("a classifier that climbs", "GuardPolicy", classifier(**FROM_VOLUME, file="../model.onnx"), "must not climb"),
    ("a classifier with a label twice", "GuardPolicy", classifier(**FROM_VOLUME, labels=["A", "A"]), "labels"),
    ("a classifier without room", "GuardPolicy", classifier(**FROM_VOLUME, memory="1Mi"), "between 64Mi and 64Gi"),
    ("names without a model", "GuardPolicy", rule(pii={"entities": ["PersonName"]}), "needs a model that marks names"),
    ("a model without names", "GuardPolicy", rule(pii={"model": FROM_VOLUME}), "a model is for PersonName alone"),
    ("names from nowhere", "GuardPolicy", names_by(), "exactly one of volume, image"),
    ("no word a name", "GuardPolicy", names_by(**FROM_VOLUME, threshold="1"), "between 0 and 1, neither"),
    ("names with a label twice", "GuardPolicy", names_by(**FROM_VOLUME, labels=["PER", "PER"]), "labels"),
    ("phrases without a list", "GuardPolicy", rule(phrases={}), "exactly one of inline, configMapRef"),
    (
        "phrases with two lists",
        "GuardPolicy",
        rule(phrases={"inline": ["a"], "configMapRef": {"name": "a", "key": "b"}}),
        "exactly one of inline, configMapRef",
    ),
    ("a blank phrase", "GuardPolicy", rule(phrases={"inline": ["a", " "]}), "inline"),
    ("a phrase without end", "GuardPolicy", rule(phrases={"inline": ["a" * 201]}), "inline"),
    ("a list without its key", "GuardPolicy", rule(phrases={"configMapRef": {"name": "a"}}), "key"),
    ("an entity twice", "GuardPolicy", rule(pii={"entities": ["Email", "Email"]}), "entities"),
    ("a hold-back for minutes", "GuardPolicy", {"stream": {"holdBackTime": "5m"}}, "between 10ms and 10s"),
    ("an unknown harm", "GuardPolicy", rule(harm={"categories": [{"category": "Rudeness"}]}), "category"),
    ("a harm twice", "GuardPolicy", rule(harm={"categories": [{"category": "Hate"}] * 2}), "categories"),
    ("a harm of nothing", "GuardPolicy", rule(harm={"categories": []}), "categories"),
    ("a threshold above all", "GuardPolicy", harm("1.5"), "share above 0"),
    ("a threshold that is a number", "GuardPolicy", harm(0.5), "threshold"),
    ("a hashed harm", "GuardPolicy", rule(harm={"action": "Hash"}), "action"),
    ("a schema for prompts", "GuardPolicy", rule(jsonSchema={"schema": {}}), "are for output"),
    ("no schema", "GuardPolicy", {"output": [{"jsonSchema": {}}]}, "schema"),
    ("a schema that is a list", "GuardPolicy", {"output": [{"jsonSchema": {"schema": []}}]}, "schema"),
    ("a masked schema", "GuardPolicy", {"output": [{"jsonSchema": {"schema": {}, "action": "Mask"}}]}, "action"),
    ("no language", "GuardPolicy", rule(language={"allowed": []}), "allowed"),
    ("a language by its name", "GuardPolicy", rule(language={"allowed": ["English"]}), "allowed"),
    ("a language twice", "GuardPolicy", rule(language={"allowed": ["en", "en"]}), "allowed"),
    (
        "a language that is never sure",
        "GuardPolicy",
        rule(language={"allowed": ["en"], "confidence": "0"}),
        "share above 0",
    ),
    ("limits of nothing", "GuardPolicy", rule(limits={}), "at least one of messages, characters, tokens"),
    ("no tokens at all", "GuardPolicy", rule(limits={"tokens": 0}), "tokens"),
    ("limits of answers", "GuardPolicy", {"output": [{"limits": {"messages": 1}}]}, "are for input"),
    ("a leak of prompts", "GuardPolicy", rule(promptLeak={}), "are for output"),
    ("a leak of a word", "GuardPolicy", {"output": [{"promptLeak": {"letters": 5}}]}, "letters"),
    ("topics of nothing", "GuardPolicy", rule(topics={}), "allowed or denied topics"),
    ("a topic without examples", "GuardPolicy", topics({"name": "a"}), "examples or keywords"),
    ("a topic without a name", "GuardPolicy", topics({"keywords": ["a"]}), "name"),
    ("a topic's name in words", "GuardPolicy", topics({"name": "a b", "keywords": ["a"]}), "name"),
    ("a topic twice", "GuardPolicy", topics(*[{"name": "a", "keywords": ["a"]}] * 2), "denied"),
    ("an empty example", "GuardPolicy", topics({"name": "a", "examples": [""]}), "examples"),
    (
        "topics of answers",
        "GuardPolicy",
        {"output": [topics({"name": "a", "keywords": ["a"]})["input"][0]]},
        "are for input",
    ),
    ("a special token with a space", "GuardPolicy", rule(specialTokens={"tokens": ["a b"]}), "tokens"),
    ("a special token of one character", "GuardPolicy", rule(specialTokens={"tokens": ["<"]}), "tokens"),
    ("a special token twice", "GuardPolicy", rule(specialTokens={"tokens": ["<a>", "<a>"]}), "tokens"),
    ("an unknown kind of characters", "GuardPolicy", rule(unicode={"kinds": ["Emoji"]}), "kinds"),
    ("a domain with a path", "GuardPolicy", rule(urls={"allow": ["example.com/x"]}), "allow"),
    ("a domain with a scheme", "GuardPolicy", rule(urls={"deny": ["https://example.com"]}), "deny"),
    ("a star in a domain", "GuardPolicy", rule(urls={"allow": ["a.*.example.com"]}), "allow"),
    ("no scheme", "GuardPolicy", rule(urls={"schemes": []}), "schemes"),
    ("a webhook without a URL", "GuardPolicy", rule(webhook={}), "url"),
    ("a webhook with a password", "GuardPolicy", webhook(url="https://u:p@example.com"), "url"),
    ("a webhook by another scheme", "GuardPolicy", webhook(url="ftp://example.com"), "url"),
    ("a webhook that takes minutes", "GuardPolicy", webhook(timeout="5m"), "between 10ms and 30s"),
    ("a webhook that masks", "GuardPolicy", webhook(action="Mask"), "action"),
    ("an unknown way to fail", "GuardPolicy", webhook(onError="Maybe"), "onError"),
    ("no authority", "GuardPolicy", webhook(certificateAuthority={}), "exactly one of configMap, secret"),
    (
        "two authorities",
        "GuardPolicy",
        webhook(certificateAuthority={"configMap": KEY, "secret": KEY}),
        "exactly one of configMap, secret",
    ),
    ("a token without a key", "GuardPolicy", webhook(tokenSecretRef={"name": "a"}), "key"),
    ("consent to nothing", "GuardPolicy", {"consent": {}}, "exactly one of header, claim"),
    ("consent twice", "GuardPolicy", {"consent": {"header": "a", "claim": "b"}}, "exactly one of header, claim"),
    ("a header that is none", "GuardPolicy", {"consent": {"header": "a b"}}, "header"),
    ("texts in the open", "GuardPolicy", {"audit": {"text": "Plain"}}, "text"),
]
UNKNOWN_FIELDS: list[tuple[str, str, Document, str]] = [
    ("unknown field", "LLMDeployment", served(replica=1), "replica"),
    ("unknown field deep inside", "LLMDeployment", served(resources={"gpus": 1, "gpu": 1}), "gpu"),
    ("unknown field of access", "LLMDeployment", access(apiKey=KEYS), "apiKey"),
    ("unknown field of a policy", "GuardPolicy", {"inputs": []}, "inputs"),
]
ARGUMENTS: list[tuple[str, Document, str]] = [
    ("a size", {"tensorRTLLM": {"arguments": {"tensor_parallel_size": 2}}}, "tensorParallelSize decides it"),
    ("a model", {"vLLM": {"arguments": {"model": "other"}}}, "model.source decides it"),
    (
        "a share of the memory",
        {"tensorRTLLM": {"arguments": {"kv_cache_config": {"free_gpu_memory_fraction": 0.5}}}},
        "kvCacheFraction decides it",
    ),
    ("no object", {"tensorRTLLM": {"arguments": {"kv_cache_config": "all"}}}, "kv_cache_config must be an object"),
]
"""Engines whose arguments only the operator can refuse: the API server knows nothing of their keys."""
