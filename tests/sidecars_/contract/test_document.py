from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmops_sidecars.contract import (
    Access,
    Action,
    ApiKeys,
    CacheSettings,
    CertificateField,
    Configuration,
    Contract,
    ContractError,
    Country,
    InjectionModel,
    InjectionRule,
    Jwt,
    Limits,
    Message,
    NamesModel,
    OnError,
    OpenAIEngine,
    Parameters,
    Pattern,
    PatternsRule,
    PhrasesRule,
    PiiEntity,
    PiiRule,
    Policy,
    SecretsRule,
    StreamWindow,
    Template,
    Tenant,
    TenantLimits,
    TritonGrpcEngine,
    TritonHttpEngine,
    TritonLayout,
    Variable,
    VariableType,
    decode,
    digest,
    encode,
    files,
)

TEMPLATE = Template(
    id="support",
    version="3f2a",
    messages=(Message("system", "You help {{ company }}."), Message("user", "{{ question }}")),
    variables=(
        Variable("company", default="Acme"),
        Variable("question", required=True, max_length=100),
        Variable("turns", VariableType.INTEGER, default="3"),
    ),
    parameters=Parameters(temperature=0.2, top_p=0.9, max_tokens=512, stop=("\n\n",)),
)
POLICY = Policy(
    name="strict",
    version="9",
    on_error=OnError.OPEN,
    input=(
        PiiRule((PiiEntity.EMAIL, PiiEntity.IBAN), Action.HASH),
        PiiRule((PiiEntity.PHONE,), unmask=True, countries=(Country.DE, Country.AT)),
        PiiRule((PiiEntity.PERSON_NAME,), model=NamesModel("/models/ner.onnx", ("PRS",), 0.7)),
        SecretsRule(),
        InjectionRule(threshold=0.7, model=InjectionModel("/models/model.onnx", ("JAILBREAK",)), action=Action.REPORT),
        PhrasesRule("animals", ("zebra",), whole_words=False),
    ),
    output=(
        PatternsRule((Pattern("project", r"(?i)project\s+x", Action.MASK),)),
        PiiRule(),
        PhrasesRule("names", file="/etc/llmops/names.txt"),
    ),
    stream=StreamWindow(hold_back_characters=64, hold_back_seconds=0.1),
    hash_key_file="/etc/llmops-hash/key",
)
FULL = Contract(
    model="chat",
    engine=TritonGrpcEngine("127.0.0.1:8001", model="ensemble", layout=TritonLayout.DELTA),
    configurations=(
        Configuration("r1", 95, (TEMPLATE,), "support", POLICY, CacheSettings(3600.0, 1024)),
        Configuration("r2", 5),
    ),
    limits=Limits(1, 0, 1024, 16, 60.0, 5.0, 2.5, 7.5),
    access=Access(
        ApiKeys("/keys"),
        Jwt(
            "https://login.example", ("chat",), "https://login.example/keys", "/ca.crt", "team", required_scopes=("a",)
        ),
        CertificateField.COMMON_NAME,
        (Tenant("a", TenantLimits(60, 1000, 2, 3, weight=4)),),
        TenantLimits(requests_per_minute=6),
    ),
)
SMALL = Contract("chat", TritonHttpEngine("http://127.0.0.1:8000"), (Configuration("r1"),))


@pytest.mark.parametrize(
    "contract",
    [
        FULL,
        SMALL,
        msgspec.structs.replace(SMALL, engine=OpenAIEngine("https://api.example/v1", "gpt-x", "/var/run/key")),
    ],
    ids=["full", "small", "provider"],
)
def test_a_contract_survives_encoding_and_decoding(contract: Contract) -> None:
    assert decode(encode(contract)) == contract


def test_the_smallest_document_has_a_default_for_everything_else() -> None:
    document = b'{"model": "m", "engine": {"kind": "tritonHttp", "url": "u"}, "configurations": [{"revision": "r"}]}'
    assert decode(document) == Contract("m", TritonHttpEngine("u"), (Configuration("r"),))


def test_equal_contracts_have_equal_bytes_and_people_can_read_them() -> None:
    again = decode(encode(FULL))
    assert encode(again) == encode(FULL)
    assert encode(FULL).endswith(b"}\n")
    assert b'\n "model": "chat"' in encode(FULL)


def test_the_bytes_and_the_digest_stay_as_they_are() -> None:
    """A change here makes every guard of every installed pod report another digest after an upgrade of the operator."""
    assert digest(encode(SMALL)) == "591d2fb7b7afde56"
    assert digest(b"") == "e3b0c44298fc1c14"


def test_what_is_newer_than_a_sidecar_is_written_only_where_it_is_used() -> None:
    """So a policy that does without it is understood by a sidecar that does not know it."""
    policy = Policy(input=(PiiRule((PiiEntity.EMAIL,)),))
    document = encode(msgspec.structs.replace(SMALL, configurations=(Configuration("r1", policy=policy),)))
    assert b"hash_key_file" not in document
    assert b"unmask" not in document
    assert b"countries" not in document


def test_the_files_beside_a_contract_are_told() -> None:
    assert files(FULL) == ("/etc/llmops-hash/key", "/etc/llmops/names.txt")
    assert files(SMALL) == ()


def edited(**fields: Any) -> bytes:
    document = msgspec.json.decode(encode(SMALL))
    return msgspec.json.encode({name: value for name, value in {**document, **fields}.items() if value is not ...})


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"model": "\xff"}', "utf-8"),
        (edited(model=...), "missing required field `model`"),
        (edited(model=""), r"length >= 1 - at `\$.model`"),
        (edited(model=7), r"Expected `str`, got `int` - at `\$.model`"),
        (edited(namespace="x"), "unknown field `namespace`"),
        (edited(version=2), "version 2 is not supported; this sidecar knows version 1"),
        (edited(version=0), "version 0 is not supported"),
        (edited(engine={"url": "u"}), r"missing required field `kind` - at `\$.engine`"),
        (edited(engine={"kind": "magic"}), r"Invalid value 'magic' - at `\$.engine.kind`"),
        (edited(engine={"kind": "tritonGrpc", "url": "u"}), r"unknown field `url` - at `\$.engine`|`address`"),
        (edited(limits={"concurrent_requests": 0}), r">= 1 - at `\$.limits.concurrent_requests`"),
        (edited(limits={"first_token_seconds": 0}), r"> 0.0 - at `\$.limits.first_token_seconds`"),
        (edited(limits={"tokens": 1}), r"unknown field `tokens` - at `\$.limits`"),
        (edited(configurations=[]), r"length >= 1 - at `\$.configurations`"),
        (edited(configurations=[{"revision": str(n), "weight": 25} for n in range(4)]), "length <= 2"),
        (edited(configurations=[{"revision": "r", "weight": 99}]), "add up to 99, not 100"),
        (edited(configurations=[{"revision": "r", "weight": 101}]), "<= 100"),
        (edited(configurations=[{"revision": "a"}, {"revision": "b"}]), "add up to 200, not 100"),
        (edited(configurations=[{"revision": "r", "default_template": "x"}]), "'x' is not among the templates"),
        (edited(configurations=[{"revision": "r", "policy": {"input": [{"rule": "magic"}]}}]), "Invalid value 'magic'"),
        (edited(access={"api_keys": {}}), r"missing required field `directory` - at `\$.access.api_keys`"),
        (edited(access={"jwt": {"issuer": "http://x", "audiences": ["a"]}}), r"at `\$.access.jwt.issuer`"),
        (edited(access={"jwt": {"issuer": "https://x", "audiences": []}}), r"at `\$.access.jwt.audiences`"),
        (edited(access={"tenants": [{"name": "a", "limits": {}}] * 2}), "a tenant is there twice"),
        (edited(access={"default_limits": {"requests_per_minute": 0}}), r"at `\$.access.default_limits.requests_"),
        (
            edited(configurations=[{"revision": "r", "policy": {"input": [{"rule": "pii", "entities": ["Mood"]}]}}]),
            "Invalid enum value 'Mood'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_document_that_is_not_understood_is_refused_whole(document: bytes, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        decode(document)


def test_access_is_open_only_without_any_way_to_be_known() -> None:
    assert Access().is_open
    assert Access(tenants=(Tenant("a", TenantLimits()),)).is_open
    assert not Access(ApiKeys("/keys")).is_open
    assert not Access(jwt=Jwt("https://x", ("a",))).is_open
    assert not Access(certificate_tenant=CertificateField.URI).is_open


def test_a_template_that_is_there_may_be_the_default() -> None:
    template = {"id": "support", "version": "1", "messages": []}
    configuration = {"revision": "r", "templates": [template], "default_template": "support"}
    assert decode(edited(configurations=[configuration])).configurations[0].default_template == "support"
