"""Reaching a served model as its users do: over HTTP, through the Service."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from openai import OpenAI

from e2e.kit.environment import Environment

FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@contextmanager
def reach(environment: Environment, namespace: str, name: str, port: int = 80) -> Iterator[str]:
    """The URL of a Service, without a path: its own name where that answers, else a port that kubectl forwards."""
    if environment.reaches_services:
        yield f"http://{name}.{namespace}.svc:{port}"
        return
    command = ["kubectl", "port-forward", "--namespace", namespace, f"service/{name}", f":{port}"]
    variables = {**os.environ, "KUBECONFIG": environment.kubeconfig}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as forwarder:
        try:
            assert forwarder.stdout is not None
            line = forwarder.stdout.readline()
            found = FORWARDING.search(line)
            assert found, f"kubectl port-forward said {line!r}"
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            forwarder.terminate()


def client(url: str, key: str = "a-user", retries: int = 0, seconds: float = 60) -> OpenAI:
    """The official client, pointed at a service; without retries unless asked, so that an error is seen."""
    return OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries, timeout=seconds)


def ask(api: OpenAI, text: str, model: str = "support-chat", **options: object) -> str:
    """One question, one whole answer."""
    answer = api.chat.completions.create(  # type: ignore[call-overload]  # the options are the caller's
        model=model, messages=[{"role": "user", "content": text}], **options
    )
    return answer.choices[0].message.content or ""


def stream(api: OpenAI, text: str, model: str = "support-chat", **options: object) -> list[str]:
    """One question, the pieces of its streamed answer."""
    events = api.chat.completions.create(  # type: ignore[call-overload]  # the options are the caller's
        model=model, messages=[{"role": "user", "content": text}], stream=True, **options
    )
    return [event.choices[0].delta.content for event in events if event.choices and event.choices[0].delta.content]
