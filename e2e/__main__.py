"""What needs a cluster: `python -m e2e demo | test [pytest arguments] | bench [NAME...]`.

A cluster that runs already is used and left up: the one that KUBECONFIG names, or the one of `make cluster`.
Otherwise the embedded one is started; `test` and `bench` take it down again, `demo` leaves it to be looked at.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from e2e.cluster import target
from e2e.kit.environment import IMAGES, Environment

ROOT = Path(__file__).parent.parent
PYTHON = str(Path(sys.executable))
SCENARIOS = "e2e/scenarios"
COMMANDS = {
    "demo": ("-m", "e2e.demo"),
    "test": ("-m", "pytest"),
    "bench": ("-m", "bench"),
}


def main() -> int:
    """Prepare a cluster and images, run the command beside it, give its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m e2e", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    chosen, rest = parser.parse_known_args()
    if chosen.command == "test" and not any(argument.startswith(SCENARIOS) for argument in rest):
        rest = [SCENARIOS, *rest]
    try:
        with target.provided(keep=chosen.command == "demo") as cluster:
            images = cluster.provide_images(IMAGES)
            environment = Environment(str(cluster.kubeconfig), images, cluster.reaches_services)
            command = [*cluster.exec_prefix(), PYTHON, *COMMANDS[chosen.command], *rest]
            return subprocess.run(
                command, cwd=ROOT, env={**os.environ, **environment.variables()}, check=False
            ).returncode
    except target.ClusterError as error:
        print(f"e2e: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
