"""Run benchmarks on the cluster that `python -m e2e bench` prepared: `python -m bench [NAME...]`."""

from __future__ import annotations

import argparse
import sys

from bench import apply_to_ready, idle_memory
from e2e.kit.environment import read
from e2e.kit.install import install
from e2e.kit.kube import Kube

BENCHMARKS = {"idle-memory": idle_memory.measure, "apply-to-ready": apply_to_ready.measure}


def main() -> int:
    """Install the operator and measure; the exit status tells whether it could be measured, not how it went."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which ones; all by default")
    names = parser.parse_args().names or list(BENCHMARKS)
    environment = read()
    if environment is None:
        print("bench: start it with `make bench`, which prepares a cluster", file=sys.stderr)
        return 2
    kube = Kube(environment.kubeconfig)
    install(kube, environment)
    for name in names:
        print(f"{name} …", flush=True)
        BENCHMARKS[name](kube, environment)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
