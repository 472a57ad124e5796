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


FROZEN = """
import gc
from llmops_sidecars.proxy import server

made = [[number] for number in range(1000)]
before = len(gc.get_objects())

async def beside():
    made.append([])
    print(gc.get_freeze_count() >= before, any(one is made for one in gc.get_objects()), gc.isenabled())

async def app(scope, receive, send):
    pass

server.run(lambda: server.serve([server.listener(app, host="127.0.0.1")], beside()))
"""


def test_what_the_start_made_is_frozen_and_the_rest_is_still_collected() -> None:
    shown = subprocess.run([sys.executable, "-c", FROZEN], capture_output=True, check=True, text=True)
    assert shown.stdout == "True False True\n"
