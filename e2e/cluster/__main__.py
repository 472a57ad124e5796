"""The commands: `python3 -m e2e.cluster --help`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from e2e.cluster import api, build, images, nodes, sandbox, settings
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import VARIABLES, Settings

Command = Callable[[Settings, argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a ClusterError becomes its text and exit status 1."""
    options = parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(settings.read(), options)
    except ClusterError as error:
        print(f"e2e.cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    variables = "\n".join(f"  {name:<21} {text}" for name, text in VARIABLES.items())
    top = argparse.ArgumentParser(
        prog="python3 -m e2e.cluster",
        description="A real Kubernetes on this machine, in namespaces of its own. Needs root and Go, but no Docker.",
        epilog=f"environment variables:\n{variables}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=command)
        return one

    add("build", _build, "build the cluster's programs, once").add_argument("names", nargs="*", metavar="NAME")
    add("up", _up, "start the cluster unless it runs; prints the path of its kubeconfig")
    add("down", _down, "end the cluster and remove all of it but its logs")
    add("status", _status, "say whether it runs: exit status 0 when it does, 3 when not")
    add("env", _env, 'print shell commands that set KUBECONFIG and PATH: eval "$(python3 -m e2e.cluster env)"')
    inside = add("exec", _exec, "run a command inside, in this directory, where Services and pods answer")
    inside.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND...")
    _add_images(add)
    through = add("relay", _relay, "make an address of the inside answer at 127.0.0.1:LOCAL, until interrupted")
    through.add_argument("local", type=int, metavar="LOCAL", help="port; 0 for any")
    through.add_argument("address", metavar="HOST:PORT", help="such as chat.team-a:80")
    add("start", _start, "start a component that was stopped").add_argument("component")
    stop = add("stop", _stop, "stop a component")
    stop.add_argument("component")
    stop.add_argument("signal", nargs="?", default="TERM", help="TERM, KILL, STOP (until `start`), ...")
    add("nodes", _nodes, "put the fake GPU nodes back as they should be, and list all nodes")
    return top


def _add_images(add: Callable[[str, Command, str], argparse.ArgumentParser]) -> None:
    image = add("image", _image, "build what has changed of the project's images, and print their sizes")
    image.add_argument(
        "targets", nargs="+", choices=list(images.TARGETS), metavar="TARGET", help=", ".join(images.TARGETS)
    )
    load = add("load", _load, "import image archives into the cluster")
    load.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")


def _build(chosen: Settings, options: argparse.Namespace) -> int:
    build.ensure(chosen, options.names)
    print(chosen.bin)
    return 0


def _up(chosen: Settings, _: argparse.Namespace) -> int:
    print(sandbox.up(chosen).kubeconfig)
    return 0


def _down(chosen: Settings, _: argparse.Namespace) -> int:
    if not sandbox.down(chosen):
        print(f"cluster {chosen.name} does not run", file=sys.stderr)
    return 0


def _status(chosen: Settings, _: argparse.Namespace) -> int:
    found = sandbox.running(chosen)
    if found is None:
        print(f"cluster {chosen.name} does not run")
        return 3
    facts = {"kubeconfig": found.kubeconfig, "port": found.port, "state": found.directory}
    print(f"cluster {found.name} runs", *(f"{name:<10}  {value}" for name, value in facts.items()), sep="\n")
    return 0


def _env(chosen: Settings, _: argparse.Namespace) -> int:
    found = sandbox.require(chosen)
    print(f"export KUBECONFIG={found.kubeconfig}\nexport PATH={found.bin}:$PATH")
    return 0


def _exec(chosen: Settings, options: argparse.Namespace) -> int:
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise ClusterError("exec needs a command, such as `exec kubectl get pods -A`")
    found = sandbox.require(chosen)
    prefix = sandbox.enter(found, sandbox.variables(found, os.environ.get("PATH", os.defpath)))
    os.execvp(prefix[0], [*prefix, *argv])  # noqa: S606  # the command takes this process's place, signals and all


def _image(chosen: Settings, options: argparse.Namespace) -> int:
    print(images.table(images.build(chosen, options.targets)))
    return 0


def _load(chosen: Settings, options: argparse.Namespace) -> int:
    found = sandbox.require(chosen)
    for archive in options.archives:
        print(sandbox.call(found, ["ctr", "images", "import", str(archive.resolve())]).strip())
    return 0


def _relay(chosen: Settings, options: argparse.Namespace) -> int:
    opened = sandbox.relay(sandbox.require(chosen), options.local, options.address)
    print(f"127.0.0.1:{opened.port} -> {options.address}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return opened.process.wait()
    finally:
        opened.process.terminate()


def _start(chosen: Settings, options: argparse.Namespace) -> int:
    sandbox.component(sandbox.require(chosen), "start", options.component)
    return 0


def _stop(chosen: Settings, options: argparse.Namespace) -> int:
    sandbox.component(sandbox.require(chosen), "stop", options.component, options.signal)
    return 0


def _nodes(chosen: Settings, _: argparse.Namespace) -> int:
    client = api.connect(sandbox.require(chosen).kubeconfig)
    nodes.apply(client)
    print(nodes.table((client.get(nodes.NODES) or {}).get("items", [])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
