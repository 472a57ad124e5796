"""The command `llmops-operator`: run | crds | plan | check-policy | render.

The only place that reads flags and environment.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from llmops_operator.runtime import logs
from llmops_operator.settings import Images, Settings

if TYPE_CHECKING:
    from llmops_operator.runtime.operator import Options

VARIABLES = """environment of `run` and `plan`:
  LLMOPS_NAMESPACE            namespace of the operator and its lease (llmops-system)
  LLMOPS_NAMESPACES           namespaces to watch, separated by commas; all when empty
  LLMOPS_SIDECAR_IMAGE        image of guard and cache
  LLMOPS_TENSORRT_LLM_IMAGE   Triton with TensorRT-LLM, where an LLMDeployment names none
  LLMOPS_VLLM_IMAGE           Triton with vLLM, where an LLMDeployment names none
  LLMOPS_IMAGE_PULL_SECRETS   Secrets of serving pods' namespaces for pulling images
  LLMOPS_SCRAPE_NAMESPACES    namespaces whose pods may read the metrics of serving pods
  LLMOPS_HUB_URL              where models of the source huggingFace are fetched
  LLMOPS_RESYNC_SECONDS       how often everything is looked at though nothing happened (600)
  LLMOPS_WORKERS              passes at the same time (4)
environment of `run`:
  LLMOPS_IDENTITY             this process's name in the lease; must differ between replicas (the host's name)
  LLMOPS_PORT                 port for health and metrics (8080)
  LLMOPS_LOG_LEVEL            debug, info, warning or error (info)
  KUBECONFIG                  outside a pod: how to reach the cluster
"""


class UsageError(Exception):
    """A flag or variable cannot be used; the message says which and why."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except UsageError as error:
        print(f"llmops-operator: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmops-operator",
        description="Runs LLM services from LLMDeployment, PromptTemplate and GuardPolicy.",
        epilog=VARIABLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="run | crds | plan | check-policy | render")
    run = commands.add_parser("run", help="run the operator")
    run.set_defaults(command=_run)
    crds = commands.add_parser("crds", help="write crds/ and the chart's copies from the models")
    crds.add_argument("--check", action="store_true", help="write nothing; exit 1 with a diff when they are stale")
    crds.add_argument("--root", type=Path, default=Path(), help="the repository's root (the current directory)")
    crds.set_defaults(command=_crds)
    plan = commands.add_parser("plan", help="show what the operator would apply, without a cluster")
    plan.add_argument("files", nargs="+", metavar="FILE", help="YAML files; - is standard input")
    plan.set_defaults(command=_plan)
    check = commands.add_parser(
        "check-policy",
        help="show what a GuardPolicy does to texts, without a cluster",
        description="Exit status: 0 when nothing is blocked, 1 when something is, 2 when the policy cannot be tried.",
    )
    check.add_argument("policy", metavar="POLICY", help="YAML with one GuardPolicy, and the ConfigMaps that it names")
    check.add_argument("texts", metavar="TEXTS", help="a file with a prompt or an answer a line; - is standard input")
    check.add_argument("--direction", choices=("input", "output"), default="input", help="rules for prompts or answers")
    check.add_argument("--output", choices=("table", "json"), default="table", help="for people or for programs")
    check.set_defaults(command=_check_policy)
    render = commands.add_parser(
        "render",
        help="show what a PromptTemplate comes to, without a cluster",
        description="Exit status: 0 rendered, 1 a value is refused, 2 the template cannot be used.",
    )
    render.add_argument("files", nargs="+", metavar="FILE", help="YAML; the first template counts, others are included")
    render.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a value; of a list an item")
    render.add_argument("--output", choices=("text", "json"), default="text", help="for people or for programs")
    render.set_defaults(command=_render)
    return parser


def _run(_options: argparse.Namespace) -> int:
    from llmops_operator.runtime.operator import Options

    variables, settings = os.environ, read_settings(os.environ)
    options = Options(
        identity=variables.get("LLMOPS_IDENTITY") or f"{socket.gethostname()}-{os.getpid()}",
        port=_number(variables, "LLMOPS_PORT", 8080, least=0),
    )
    logs.configure(_level(variables), sys.stdout)

    return asyncio.run(_operate(variables.get("KUBECONFIG"), settings, options))


async def _operate(kubeconfig: str | None, settings: Settings, options: Options) -> int:
    """Run the operator until TERM or INT."""
    from llmops_operator.cluster.connection import NoCredentialsError, connect
    from llmops_operator.handlers import watch
    from llmops_operator.runtime.operator import Operator

    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        connection = await connect(kubeconfig)
    except NoCredentialsError as error:
        raise UsageError(str(error)) from error
    await Operator(connection, settings, options, watch).run(ended)
    return 0


def _crds(options: argparse.Namespace) -> int:
    from llmops_operator.api import crds

    wanted = crds.render()
    paths = {path: options.root / path for path in wanted}
    if options.check:
        found = {path: place.read_text(encoding="utf-8") for path, place in paths.items() if place.is_file()}
        difference = crds.differences(found)
        print(difference or "fresh")
        return int(bool(difference))
    for path, place in paths.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(wanted[path], encoding="utf-8")
        print(f"wrote {place}")
    return 0


def _plan(options: argparse.Namespace) -> int:
    from llmops_operator.decide.offline import plan_documents

    contents = {file: _content(file) for file in options.files}
    outcome = plan_documents(contents, read_settings(os.environ), datetime.now(UTC))
    sys.stdout.write(outcome.text)
    for error in outcome.errors:
        print(error, file=sys.stderr)
    return int(bool(outcome.errors))


def _check_policy(options: argparse.Namespace) -> int:
    """Have the guard's own code judge, in a process of its own: the operator does not know it."""
    from llmops_operator.decide.offline import UnreadableError
    from llmops_operator.decide.trial import CONTRACT, contract_for

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            files = contract_for({options.policy: _content(options.policy)}, folder)
        except UnreadableError as error:
            raise UsageError(str(error)) from error
        for path, content in files.items():
            (folder / path).write_bytes(content)
        flags = [f"--contract={folder / CONTRACT}", f"--direction={options.direction}", f"--output={options.output}"]
        return _sidecar("check", *flags, "--", options.texts)


def _render(options: argparse.Namespace) -> int:
    """Have the guard's own code render, as for `check-policy`."""
    from llmops_operator.decide.offline import UnreadableError
    from llmops_operator.decide.trial import CONTRACT, contract_with_template

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / CONTRACT
        try:
            path.write_bytes(contract_with_template({file: _content(file) for file in options.files}))
        except UnreadableError as error:
            raise UsageError(str(error)) from error
        values = [f"--set={setting}" for setting in options.set]
        return _sidecar("render", f"--contract={path}", f"--output={options.output}", *values)


def _sidecar(*arguments: str) -> int:
    command = [sys.executable, "-m", "llmops_sidecars", *arguments]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - our own program, and flags of our own


def _content(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def read_settings(variables: Mapping[str, str]) -> Settings:
    """The settings that these environment variables say; raises UsageError."""
    default = Settings()
    images = Images(
        sidecar=variables.get("LLMOPS_SIDECAR_IMAGE") or default.images.sidecar,
        tensorrt_llm=variables.get("LLMOPS_TENSORRT_LLM_IMAGE") or default.images.tensorrt_llm,
        vllm=variables.get("LLMOPS_VLLM_IMAGE") or default.images.vllm,
    )
    resync = _number(variables, "LLMOPS_RESYNC_SECONDS", int(default.resync.total_seconds()), least=1)
    return Settings(
        images=images,
        namespace=variables.get("LLMOPS_NAMESPACE") or default.namespace,
        namespaces=_names(variables, "LLMOPS_NAMESPACES"),
        scrape_namespaces=_names(variables, "LLMOPS_SCRAPE_NAMESPACES"),
        image_pull_secrets=_names(variables, "LLMOPS_IMAGE_PULL_SECRETS"),
        hub_url=variables.get("LLMOPS_HUB_URL") or default.hub_url,
        workers=_number(variables, "LLMOPS_WORKERS", default.workers, least=1),
        resync=timedelta(seconds=resync),
    )


def _names(variables: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in variables.get(name, "").split(",") if one.strip())


def _number(variables: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = variables.get(name) or str(default)
    if not text.isdigit() or int(text) < least:
        raise UsageError(f"{name} must be a whole number, at least {least}; it is {text!r}")
    return int(text)


def _level(variables: Mapping[str, str]) -> str:
    level = variables.get("LLMOPS_LOG_LEVEL") or "info"
    if level not in logs.LEVELS:
        raise UsageError(f"LLMOPS_LOG_LEVEL must be one of {', '.join(logs.LEVELS)}; it is {level!r}")
    return level


if __name__ == "__main__":
    raise SystemExit(main())
