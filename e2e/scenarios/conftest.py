"""Fixtures of the scenarios: a cluster with the operator installed by its own charts, and namespaces of their own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from e2e.kit.environment import Environment, read
from e2e.kit.install import install
from e2e.kit.kube import Kube


@pytest.fixture(scope="session")
def environment() -> Environment:
    """The cluster that `python -m e2e test` prepared."""
    found = read()
    if found is not None:
        return found
    reason = "no cluster: these tests are started by `make scenarios`, which prepares one"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def bare(environment: Environment) -> Kube:
    """The cluster's administrator; the operator may not be there."""
    return Kube(environment.kubeconfig)


@pytest.fixture(scope="session")
def kube(environment: Environment, bare: Kube) -> Kube:
    """The cluster with the operator installed and ready."""
    install(bare, environment)
    return bare


@pytest.fixture(scope="module")
def namespace(kube: Kube) -> Iterator[str]:
    """A namespace for one module's tests, under Pod Security `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    with kube.namespace(f"e2e-{secrets.token_hex(3)}", labels) as name:
        yield name
