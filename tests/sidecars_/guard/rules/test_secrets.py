from __future__ import annotations

import random
import re
import string
import time
import uuid

import pytest

from llmops_sidecars.contract import Action, SecretsRule
from llmops_sidecars.guard.rules import secrets
from llmops_sidecars.guard.rules.secrets.shapes import SHAPES

KEY = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1cDe4gHi7k"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc+/=\n-----END RSA PRIVATE KEY-----"

find = secrets.make(SecretsRule(Action.BLOCK)).find

FOUND = {
    "openai": f"sk-{KEY}",
    "openai project": f"sk-proj-{KEY}-_{KEY}",
    "anthropic": f"sk-ant-api03-{KEY}",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "aws session": "ASIAIOSFODNN7EXAMPLE",
    "github": f"ghp_{KEY}",
    "github app": f"ghs_{KEY}",
    "github fine": f"github_pat_11ABCDEFG0{KEY}",
    "gitlab": f"glpat-{KEY[:20]}",
    "slack": "xoxb-123456789012-abcdefABCDEF",
    "slack hook": "https://hooks.slack.com/services/T00000000/B00000000/abcdefABCDEF123456789012",
    "google": f"AIza{KEY[:35]}",
    "google session": f"ya29.{KEY}",
    "stripe": f"sk_live_{KEY}",
    "hugging face": f"hf_{KEY[:34]}",
    "nvidia": f"nvapi-{KEY}{KEY}",
    "npm": f"npm_{KEY}",
    "pypi": f"pypi-{KEY}{KEY}",
    "sendgrid": f"SG.{KEY[:22]}.{KEY}",
    "token": JWT,
    "token without signature": JWT.rpartition(".")[0],
    "private key": PEM,
    "open ssh key": PEM.replace("RSA", "OPENSSH"),
    "plain key": PEM.replace("RSA ", ""),
    "pgp key": PEM.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
    "connection": "postgres://app:s3cr3t@db.internal:5432/orders",
    "connection without user": "redis://:hunter2@cache:6379",
    "amqp": "amqps://user:p%40ss@broker/vhost",
}

ALPHABETS = {
    "h": "0123456789abcdef",
    "a": string.ascii_letters + string.digits,
    "u": string.ascii_uppercase + string.digits,
    "l": string.ascii_lowercase + string.digits,
    "w": string.ascii_lowercase,
    "d": string.digits,
    "b": string.ascii_letters + string.digits + "+/",
    "s": string.ascii_letters + string.digits + "_-",
    "p": string.ascii_letters + string.digits + "!#%+:=?@^~",
}


def seeded(seed: object) -> random.Random:
    """The same in every run."""
    return random.Random(str(seed))


def filled(template: str, chosen: random.Random) -> str:
    """The template with `{a20}` as twenty letters and digits, and so on; UUID as one."""
    template = template.replace("UUID", str(uuid.UUID(int=chosen.getrandbits(128))))
    return re.sub(
        r"\{([a-z])(\d+)\}",
        lambda found: "".join(chosen.choice(ALPHABETS[found[1]]) for _ in range(int(found[2]))),
        template,
    )


MADE = {
    "openai": ["sk-{a48}", "sk-proj-{s90}1", "sk-or-v1-{h64}"],
    "anthropic": ["sk-ant-api03-{s93}1A"],
    "hugging face": ["hf_{a34}", "api_org_{a34}"],
    "replicate": ["r8_{a37}"],
    "groq": ["gsk_{a52}"],
    "xai": ["xai-{a80}"],
    "perplexity": ["pplx-{a48}"],
    "nvidia": ["nvapi-{s64}"],
    "fireworks": ["fw_{a24}"],
    "langsmith": ["lsv2_pt_{h32}_{h10}"],
    "pinecone": ["pcsk_{a6}_{a63}"],
    "aws": ["AKIA{u16}", "ASIA{u16}"],
    "google": ["AIza{s35}", "ya29.{s60}", "GOCSPX-{s28}", "1//0{s60}"],
    "azure": ["AccountKey={b86}==", "&sig={b43}%3D", "{a3}8Q~{a34}"],
    "alibaba": ["LTAI{a20}"],
    "tencent": ["AKID{a32}"],
    "digitalocean": ["dop_v1_{h64}"],
    "cloudflare": ["v1.0-{h24}-{h146}"],
    "heroku": ["HRKU-UUID", "HRKU-{s58}"],
    "fly": ["fo1_{s43}"],
    "netlify": ["nfp_{a36}"],
    "supabase": ["sbp_{h40}"],
    "planetscale": ["pscale_tkn_{s43}"],
    "github": ["ghp_{a36}", "gho_{a36}", "ghs_{a36}", "github_pat_{a22}_{a59}"],
    "gitlab": ["glpat-{s20}", "glrt-{s20}"],
    "atlassian": ["ATATT3{s180}", "ATBB{a32}"],
    "npm": ["npm_{a36}"],
    "pypi": ["pypi-AgEIcHlwaS5vcmc{s100}"],
    "rubygems": ["rubygems_{h48}"],
    "nuget": ["oy2{l43}"],
    "clojars": ["CLOJARS_{l60}"],
    "docker": ["dckr_pat_{s27}"],
    "artifactory": ["AKCp{a69}"],
    "circleci": ["CCIPAT_{a22}_{h40}"],
    "buildkite": ["bkua_{l40}"],
    "postman": ["PMAK-{h24}-{h34}"],
    "vault": ["hvs.{s90}1"],
    "terraform": ["{a14}.atlasv1.{s67}"],
    "pulumi": ["pul-{h40}"],
    "doppler": ["dp.pt.{a43}"],
    "tailscale": ["tskey-auth-{a12}-{a32}"],
    "databricks": ["dapi{h32}", "dapi{h32}-2"],
    "grafana": ["glsa_{a32}_{h8}", "glc_{b60}="],
    "new relic": ["NRAK-{u27}", "NRJS-{h19}"],
    "sentry": ["sntrys_{b80}", "https://{h32}@o123.ingest.example.io/4501"],
    "age": ["AGE-SECRET-KEY-1{u58}"],
    "slack": [
        "xoxb-{d12}-{d12}-{a24}",
        "xapp-1-A{u10}-{d13}-{h64}",
        "https://hooks.slack.com/services/T{u8}/B{u8}/{a24}",
    ],
    "discord": ["M{a25}.{s6}.{s38}", "https://discord.com/api/webhooks/{d18}/{s68}"],
    "telegram": ["{d10}:AA{s33}"],
    "stripe": ["sk_live_{a24}", "rk_test_{a24}", "whsec_{b32}"],
    "square": ["sq0csp-{s43}", "EAAA{s60}"],
    "paypal": ["access_token$production${l16}${h32}"],
    "shopify": ["shpat_{h32}"],
    "twilio": ["SK{h32}"],
    "sendgrid": ["SG.{s22}.{s43}"],
    "mailgun": ["key-{h32}", "{h32}-{h8}-{h8}"],
    "mailchimp": ["{h32}-us14"],
    "brevo": ["xkeysib-{h64}-{a16}"],
    "resend": ["re_{a8}_{a24}"],
    "facebook": ["EAA{a160}"],
    "twitter": ["AAAAAAAAAAAAAAAAAAAAA{a60}"],
    "dropbox": ["sl.{s140}"],
    "hubspot": ["pat-na1-UUID"],
    "airtable": ["pat{a14}.{h64}"],
    "notion": ["ntn_{a46}", "secret_{a43}"],
    "linear": ["lin_api_{a40}"],
    "figma": ["figd_{s40}"],
    "1password": ["ops_eyJ{b80}"],
    "token": [JWT],
    "private key": [PEM],
    "connection": ["postgres://app:{a12}@db/orders"],
}
"""Secrets as their makers make them: templates by the name of the shape."""


def test_there_are_more_than_forty_shapes_and_each_is_tested() -> None:
    assert set(MADE) == set(SHAPES)
    assert len(SHAPES) > 40


@pytest.mark.parametrize(
    ("kind", "template"),
    [pytest.param(kind, one, id=f"{kind}: {one[:20]}") for kind, all_ in MADE.items() for one in all_],
)
def test_a_shape_is_found_whole_wherever_it_stands(kind: str, template: str) -> None:
    chosen = seeded(template)
    for around in ("{}", "Use {} now", "x={}\n", '["{}"]', "({})"):
        secret = filled(template, chosen)
        text = around.format(secret)
        places = [text[one.start : one.end] for one in find(text) if one.kind == kind]
        assert places, text
        if kind != "connection":
            assert places[0].rstrip("-_.=") == secret.rstrip("-_.="), text


ASSIGNED = [
    "aws_secret_access_key = {b40}",
    "AWS_SECRET_ACCESS_KEY={b40}",
    '"secretAccessKey": "{b40}"',
    "DD_API_KEY={h32}",
    "api_key: {a32}",
    'apiKey = "{a40}"',
    "MISTRAL_API_KEY={a32}",
    "CLOUDFLARE_API_TOKEN={s40}",
    "TWILIO_AUTH_TOKEN={h32}",
    "client_secret: '{s40}'",
    "Authorization: Bearer {s48}",
    "Authorization: Basic {b40}==",
    "curl -H 'Authorization: token {a40}'",
    "token={l24}",
    "The API key is: {a32}",
    "my access token is {s36}",
    "encryption_key = {h64}",
    "SECRET_KEY = '{p50}'",
    "const githubToken = `{a40}`;",
    "x-api-key: {a40}",
    "heroku api key: UUID",
    "auth_token => {a22}",
]
PASSWORDS = [
    "password = {w6}{d3}",
    '"password": "{p14}"',
    "my password is {w5}{d4}",
    "DB_PASSWORD={w4}{d2}!{u3}",
    "Das Passwort lautet {w5}{a5}7",
    "mot de passe : {w6}{d2}",
    "contraseña: {w7}{d3}",
    "пароль: {w5}{d4}",
    "密码是 {a12}",
    "senha: {a9}1",
    "PGPASSWORD='{w8}-{w5}-{d2}'",
    "user=app;Password={a10}!;",
    "mysql -u root --password={a12}",
]


@pytest.mark.parametrize(("templates", "least"), [(ASSIGNED, 0.98), (PASSWORDS, 0.97)], ids=["keys", "passwords"])
def test_what_is_assigned_to_a_word_for_secrets_is_found(templates: list[str], least: float) -> None:
    chosen = seeded(11)
    texts = [filled(template, chosen) for template in templates for _ in range(100)]
    assert sum(bool(find(text)) for text in texts) >= least * len(texts)


def test_the_value_alone_is_the_finding() -> None:
    text = 'Then: password = "hunter2x9", and my api key is q8Zf3kLw92mXv7Bn4Tc1.'
    assert [(one.kind, text[one.start : one.end]) for one in find(text)] == [
        ("password", "hunter2x9"),
        ("high entropy", "q8Zf3kLw92mXv7Bn4Tc1"),
    ]


HARMLESS = [
    '"integrity": "sha512-{b86}=="',
    'resolved "https://registry.example/x/-/x-1.2.3.tgz#{h40}"',
    "commit {h40}",
    "index {h7}..{h7} 100644",
    "sha256:{h64}",
    'etag: "{h32}"',
    "id: UUID",
    "request_id=UUID trace={h32}",
    "{h32}  file.iso",
    "pip==24.0 --hash=sha256:{h64}",
    "session_id={a32}",
    "X-Request-Id: {a24}",
    "public_key: ssh-rsa AAAAB3NzaC1yc2E{b200}",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b43} me@host",
    "-----BEGIN CERTIFICATE-----\n{b64}\n-----END CERTIFICATE-----",
    "data:image/png;base64,{b200}",
    "0x{h64}",
    "password: required",
    "Password must be at least 8 characters",
    "the password is incorrect",
    "password = get_password()",
    "password=password, user=user",
    'password: ""',
    "password_hash: $2b$12${b53}",
    "password_min_length=12",
    "password: ENC[AES256_GCM,data:x1]",
    "passwords are stored with argon2id hashing",
    "PWD=/var/lib/app2/releases",
    "reset your password: https://example.com/reset?step=2",
    "token = request.headers['x']",
    "token: str = ''",
    "tokenizer: gpt2-medium-v2",
    "max_tokens: 4096",
    "tokens=12345678",
    "token_type: bearer",
    "token: 2024-01-01T10:00:00.000Z",
    "token_url: https://auth.example.com/oauth2/token",
    "token = tokenize(text)",
    "token ring 802.5",
    "Bearer of bad news 12",
    "basic knowledge of 12 things",
    "the secret is to be patient",
    "secret_name: my-app-secret-2",
    "secretKeyRef: {name: db-credentials-v2, key: password}",
    "existingSecret: postgres-credentials-2024",
    "secretName: chat-tls-2024-prod-eu-west-1",
    "secret: projects/my-project-1/secrets/db-pass/versions/2",
    "secret: vault:secret/data/app1#password",
    "secret_version: v20240101120000",
    "api_key = os.environ['API_KEY']",
    "api_key: ${API_KEY}",
    "api_key: <your-api-key>",
    "api_key=YOUR_API_KEY_HERE",
    "api_key_header = 'X-API-Key-V2-Internal'",
    "auth_key: rsa-key-20240101",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "AKIAXXXXXXXXXXXXXXXX",
    "credentials: file:///etc/app1/credentials.json",
    "service_token: /var/run/secrets/kubernetes.io/serviceaccount/token2",
    "const passwordInput = document.getElementById('password-field-1')",
    "primary_key = user_id",
]


@pytest.mark.parametrize("template", HARMLESS)
def test_code_logs_hashes_and_lock_files_raise_no_alarm(template: str) -> None:
    chosen = seeded(template)
    for _ in range(50):
        text = filled(template, chosen)
        assert find(text) == [], text


NOT_FOUND = {
    "hyphenated names": "use sk-learn-style-pipelines-for-everything-here",
    "short": "sk-1234",
    "inside a word": f"task-{'a1' * 12} and brisk-{'b2' * 12}",
    "lower case": "akiaiosfodnn7example",
    "longer name": f"my_ghp_{KEY}",
    "public key": PEM.replace("PRIVATE", "PUBLIC"),
    "port": "http://localhost:8080/path@version",
    "no password": "postgres://app@db.internal/orders",
    "to be filled in": "postgres://app:${PASSWORD}@db and redis://:<password>@cache",
    "two parts": "eyJhbGciOiJIUzI1NiJ9.notpayload",
    "base64": "c2stYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo=",
}


@pytest.mark.parametrize("secret", FOUND.values(), ids=FOUND)
@pytest.mark.parametrize("around", ["{}", "key: {} .", '"{}"', "é={}\n", r'{{"k": "\n{}"}}'])
def test_a_secret_is_found_whole(secret: str, around: str) -> None:
    text = around.format(secret)
    findings = find(text)
    assert findings, "nothing found"
    hidden = re.search(r"://[^:/]*:([^@]*)@", secret)
    assert {text[one.start : one.end] for one in findings} == {hidden[1] if hidden else secret}
    assert {(one.rule, one.label, one.action) for one in findings} == {("secrets", "[SECRET]", Action.BLOCK)}


@pytest.mark.parametrize("text", NOT_FOUND.values(), ids=NOT_FOUND)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert find(text) == []


def test_a_private_key_without_its_end_is_found_to_the_end_of_the_text() -> None:
    assert [(one.start, one.end) for one in find("x " + PEM[:60])] == [(2, 62)]


SLOW = ["password: ", "api_key=" + "aB3" * 200 + " ", "token ", "https://a:", "eyJ" * 3, "AKIA", "sk-" + "a1" * 50]


@pytest.mark.parametrize("piece", SLOW)
def test_text_made_to_be_slow_is_not(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    started = time.process_time()
    find(text)
    assert time.process_time() - started < 2
