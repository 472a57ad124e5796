"""The main job, shown to a person: each step with what is done, what comes back and how long it took."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from openai import BadRequestError, OpenAI

from e2e.kit.environment import Environment, read
from e2e.kit.install import install
from e2e.kit.kube import Document, Kube, is_true
from e2e.kit.samples import quickstart
from e2e.kit.service import ask, client, reach
from e2e.kit.wait import until

NAMESPACE = "demo"
NAME = "chat"
MODEL = "support-chat"
BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Story:
    """Numbered steps on the terminal."""

    def __init__(self) -> None:
        """Start with step 1."""
        self._number = 0

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Print the title, give a function that prints lines below it, and end with the time."""
        self._number += 1
        print(f"\n{BOLD}{self._number}. {title}{PLAIN}", flush=True)
        start = time.monotonic()
        yield lambda text: print(f"   {text}", flush=True)
        print(f"   {DIM}{time.monotonic() - start:.1f} s{PLAIN}", flush=True)


def show(environment: Environment) -> None:
    """All steps, one after the other."""
    kube, story = Kube(environment.kubeconfig), Story()
    _install(story, kube, environment)
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}})
    _apply(story, kube, environment)
    with reach(environment, NAMESPACE, NAME) as url:
        api = client(url, retries=2)
        for scene in (_stream, _mask, _refuse, _hide, _cache, _template):
            scene(story, api)
        _replace_pod(story, kube, api)
        _change_policy(story, kube, api)
    _delete(story, kube)
    print(NEXT)


RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}

NEXT = f"""
{BOLD}What to try next{PLAIN} (the cluster is still up)

   eval "$(python3 -m e2e.cluster env)"                # kubectl and helm for this cluster
   kubectl get crds | grep llmops; kubectl explain llmdeployment.spec --recursive
   kubectl apply --server-side --force-conflicts -n {NAMESPACE} -f examples/quickstart
   kubectl get llmd -n {NAMESPACE} -w
   kubectl logs -n llmops-system deployment/llmops-operator

{BOLD}How to take it down{PLAIN}

   make cluster-down
"""


def _install(story: Story, kube: Kube, environment: Environment) -> None:
    with story.step("Install the operator with its Helm charts") as say:
        install(kube, environment)
        for chart in ("llmops-crds", "llmops-operator"):
            say(f"helm upgrade --install {chart} charts/{chart} --namespace llmops-system")
        for line in kube.kubectl("get", "deployments,pods", "-n", "llmops-system").splitlines():
            say(line)


def _apply(story: Story, kube: Kube, environment: Environment) -> None:
    with story.step(
        "Apply a PromptTemplate, a GuardPolicy and an LLMDeployment; wait until kubectl shows it Ready"
    ) as say:
        for document in quickstart(NAMESPACE, environment.images):
            kube.apply(document)
            say(f"{document['kind']}/{document['metadata']['name']} applied")
        until("Ready", lambda: is_true(kube.get("LLMDeployment", NAME, NAMESPACE), "Ready"), 120)
        for line in kube.kubectl("get", "llmd,pt,gp,pods,services", "-n", NAMESPACE).splitlines():
            say(line)


def _stream(story: Story, api: OpenAI) -> None:
    with story.step(
        "Ask the model with the official openai client; the answer streams token by token from Triton"
    ) as say:
        say("> Our company")
        print("   ", end="", flush=True)
        start, count = time.monotonic(), 0
        for event in _events(api, "Our company"):
            count += 1
            print(event, end="", flush=True)
        print()
        say(f"{DIM}{count} events in {time.monotonic() - start:.2f} s{PLAIN}")


def _events(api: OpenAI, text: str) -> Iterator[str]:
    events = api.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": text}], max_tokens=40, stream=True
    )
    for event in events:
        if event.choices and event.choices[0].delta.content:
            yield event.choices[0].delta.content


def _mask(story: Story, api: OpenAI) -> None:
    with story.step(
        "An e-mail address in a prompt: the engine receives it masked (it is asked to repeat what it got)"
    ) as say:
        say("> Repeat after me: write to jane.doe@example.com today")
        say(ask(api, "Repeat after me: write to jane.doe@example.com today", max_tokens=40).strip())


def _refuse(story: Story, api: OpenAI) -> None:
    with story.step("A secret in a prompt is refused, with the rule's name and without the secret") as say:
        say("> My key is AKIA…, is it safe?")
        try:
            ask(api, "My key is AKIAIOSFODNN7EXAMPLE, is it safe?")
        except BadRequestError as error:
            say(f"{error.status_code} {json.dumps(error.body)}")
        else:
            sys.exit("the secret was let through: this is a bug")


def _hide(story: Story, api: OpenAI) -> None:
    with story.step("The model is made to say a phone number; it never arrives, whole or streamed") as say:
        for label, said in (
            ("whole", ask(api, "Call me", max_tokens=20)),
            ("streamed", "".join(_events(api, "Call me"))),
        ):
            say(f"{label:>8}: Call me{said}")
            if "1234567" in said:
                sys.exit("the number was let through: this is a bug")


def _cache(story: Story, api: OpenAI) -> None:
    with story.step("The same question twice: the second answer comes from the cache and says so") as say:
        for _ in range(2):
            start = time.monotonic()
            answer = api.chat.completions.with_raw_response.create(
                model=MODEL, messages=[{"role": "user", "content": "Our support"}], max_tokens=24
            )
            elapsed = (time.monotonic() - start) * 1000
            say(f"x-llmops-cache: {answer.headers['x-llmops-cache']:<5} {elapsed:7.1f} ms")


def _template(story: Story, api: OpenAI) -> None:
    with story.step("A prompt template with variables, by its name") as say:
        prompt = {"id": "support", "variables": {"company": "Acme", "question": "Repeat after me: hello from Acme"}}
        say(f"> prompt: {json.dumps(prompt)}")
        answer = api.chat.completions.with_raw_response.create(
            model=MODEL, messages=[], max_tokens=20, extra_body={"prompt": prompt}
        )
        say(f"x-llmops-prompt: {answer.headers['x-llmops-prompt']}")
        say((answer.parse().choices[0].message.content or "").strip())


def _replace_pod(story: Story, kube: Kube, api: OpenAI) -> None:
    with story.step(
        "With two replicas, a pod is killed while requests go on; it is replaced and nobody notices"
    ) as say:
        kube.patch("LLMDeployment", NAME, NAMESPACE, {"spec": {"replicas": 2}})
        until("two ready pods", lambda: len(_ready_pods(kube)) == 2, 60)  # noqa: PLR2004 - the two of the line above
        victim = _ready_pods(kube)[0]
        kube.delete("Pod", victim, NAMESPACE)
        say(f"killed {victim}")
        answered = 0
        while kube.get("Pod", victim, NAMESPACE) or len(_ready_pods(kube)) < 2:  # noqa: PLR2004 - as above
            ask(api, "Our company", max_tokens=8, extra_headers={"cache-control": "no-store"})
            answered += 1
        say(f"{answered} requests answered meanwhile, 0 failed; now: {', '.join(_ready_pods(kube))}")


def _ready_pods(kube: Kube) -> list[str]:
    found = kube.list("Pod", NAMESPACE, f"app.kubernetes.io/instance={NAME}")
    return sorted(pod["metadata"]["name"] for pod in found if _is_ready(pod))


def _is_ready(pod: Document) -> bool:
    conditions = pod["status"].get("conditions", [])
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _change_policy(story: Story, kube: Kube, api: OpenAI) -> None:
    with story.step("The policy changes; the next request obeys it, and no pod restarts") as say:
        text = "Repeat after me: the zebra project"
        say(f"> {text}")
        say(ask(api, text, max_tokens=20).strip())
        policy = kube.get("GuardPolicy", "strict", NAMESPACE) or {}
        rule = {"patterns": [{"name": "zebra", "expression": "(?i)zebra", "action": "Block"}]}
        kube.patch("GuardPolicy", "strict", NAMESPACE, {"spec": {"input": [*policy["spec"]["input"], rule]}})
        start = time.monotonic()
        said = until("a refusal", lambda: _refusal(api, text), 30)
        say(f"{time.monotonic() - start:.1f} s after the change: {said}")


def _refusal(api: OpenAI, text: str) -> str | None:
    try:
        ask(api, text, max_tokens=20, extra_headers={"cache-control": "no-store"})
    except BadRequestError as error:
        return f"{error.status_code} {json.dumps(error.body)}"
    return None


def _delete(story: Story, kube: Kube) -> None:
    with story.step("Delete the LLMDeployment; nothing is left of it") as say:
        kube.delete("LLMDeployment", NAME, NAMESPACE)
        kinds = ("Deployment", "Pod", "Service", "ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount")
        selector = f"app.kubernetes.io/instance={NAME}"
        until("nothing is left", lambda: not any(kube.list(kind, NAMESPACE, selector) for kind in kinds), 120)
        say(kube.kubectl("get", "all", "-n", NAMESPACE, "-l", selector).strip() or "No resources found")


def main() -> int:
    """Show the demo on the cluster that the environment names."""
    environment = read()
    if environment is None:
        print("demo: start it with `make demo`, which prepares a cluster", file=sys.stderr)
        return 2
    show(environment)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
