from __future__ import annotations

import subprocess
import sys

SHOW = """
import resource
from llmops_sidecars.proxy import server

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))

async def main():
    print(resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most))

server.run(main)
"""


def test_a_process_has_as_many_open_files_as_it_may() -> None:
    shown = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, check=True, text=True)
    assert shown.stdout == "True\n"
