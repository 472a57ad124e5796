"""Certificates and kubeconfigs of one cluster, made by openssl: small, of 30 days, never used twice."""

from __future__ import annotations

import base64
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.settings import API_ADDRESS, NODE_ADDRESS

DAYS = "30"
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


@dataclass(frozen=True)
class Certificate:
    """A key and a certificate to make; `alternatives` as openssl writes them."""

    name: str
    subject: str
    authority: str
    alternatives: tuple[str, ...]


@dataclass(frozen=True)
class User:
    """A component, or a person, as the API server knows it."""

    name: str
    subject: str


def users(node: str) -> tuple[User, ...]:
    """Everyone who gets a kubeconfig."""
    return (
        User("admin", "/O=system:masters/CN=admin"),
        User("node", f"/O=system:nodes/CN=system:node:{node}"),
        User("controller-manager", "/CN=system:kube-controller-manager"),
        User("scheduler", "/CN=system:kube-scheduler"),
        User("proxy", "/CN=system:kube-proxy"),
    )


def certificates(node: str) -> tuple[Certificate, ...]:
    """All certificates of a cluster but the authorities' own."""
    api_server = (*(f"DNS:{name}" for name in ("localhost", *SERVICE_NAMES)), "IP:127.0.0.1")
    return (
        Certificate("apiserver", "/CN=kube-apiserver", "ca", (*api_server, f"IP:{API_ADDRESS}", f"IP:{NODE_ADDRESS}")),
        Certificate("kubelet", f"/CN={node}", "ca", (f"DNS:{node}", f"IP:{NODE_ADDRESS}")),
        Certificate("front-proxy", "/CN=front-proxy", "front-ca", ("DNS:front-proxy",)),
        *(Certificate(user.name, user.subject, "ca", (f"DNS:{user.name}",)) for user in users(node)),
    )


def make(directory: Path, node: str) -> None:
    """Write all keys and certificates into the directory."""
    directory.mkdir(mode=0o700, exist_ok=True)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: _authority(directory, name), ("ca", "front-ca")))
        keys = pool.submit(_service_account_keys, directory)
        list(pool.map(lambda one: _certificate(directory, one), certificates(node)))
        keys.result()


def kubeconfig(directory: Path, user: str, port: int) -> str:
    """A kubeconfig (in JSON, which is YAML too) with everything in it."""

    def data(name: str) -> str:
        return base64.b64encode((directory / name).read_bytes()).decode()

    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": data("ca.crt")}
    credentials = {"client-certificate-data": data(f"{user}.crt"), "client-key-data": data(f"{user}.key")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "llmops",
        "contexts": [{"name": "llmops", "context": {"cluster": "llmops", "user": user}}],
        "clusters": [{"name": "llmops", "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
    }
    return json.dumps(document, indent=1) + "\n"


def _authority(directory: Path, name: str) -> None:
    _key(directory, name)
    arguments = ["-x509", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-days", DAYS, "-out", f"{name}.crt"]
    _openssl(directory, "req", *arguments)


def _certificate(directory: Path, one: Certificate) -> None:
    _key(directory, one.name)
    extensions = f"subjectAltName={','.join(one.alternatives)}\nextendedKeyUsage=serverAuth,clientAuth\n"
    (directory / f"{one.name}.ext").write_text(extensions, encoding="utf-8")
    _openssl(directory, "req", "-new", "-key", f"{one.name}.key", "-subj", one.subject, "-out", f"{one.name}.csr")
    authority = ["-CA", f"{one.authority}.crt", "-CAkey", f"{one.authority}.key"]
    files = ["-in", f"{one.name}.csr", "-extfile", f"{one.name}.ext", "-out", f"{one.name}.crt"]
    serial = ["-set_serial", f"0x{one.name.encode().hex()}"]  # certificates of one authority must differ in it
    _openssl(directory, "x509", "-req", *authority, *files, *serial, "-days", DAYS)


def _service_account_keys(directory: Path) -> None:
    _key(directory, "service-accounts")
    files = ["-in", "service-accounts.key", "-pubout", "-out", "service-accounts.pub"]
    _openssl(directory, "ec", *files)


def _key(directory: Path, name: str) -> None:
    _openssl(directory, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, check=True)
