"""Run a command in the namespaces of another process: `python3 -I enter.py PID NAME=VALUE... -- COMMAND...`.

As nsenter does, and it keeps the caller's directory, passes signals on to the command (nsenter dies of them and leaves
the command behind), and ends with the command's status. A program of its own, that imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from types import FrameType

NAMESPACES = ("ipc", "uts", "net", "pid", "mnt")
"""As in /proc/PID/ns. The mount namespace comes last: after it the files of this machine are out of sight."""

PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""The terminal sends these to the command as well."""

PR_SET_PDEATHSIG = 1  # linux/prctl.h
NOT_FOUND = 127  # what a shell answers for a command that cannot be run


def main(arguments: list[str]) -> int:
    """Enter, run, wait; returns the command's status, 128 + N when signal N ended it."""
    pid, *rest = arguments
    border = rest.index("--")
    variables, command = dict(word.split("=", 1) for word in rest[:border]), rest[border + 1 :]
    join(int(pid))
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # none may come before it can be passed on
    child = os.fork()  # a process enters a pid namespace by its children
    if not child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        become(command, {**os.environ, **variables})
    return wait(child)


def join(pid: int) -> None:
    """Join the namespaces of the process, in the current directory."""
    directory, libc = os.getcwd(), ctypes.CDLL(None, use_errno=True)  # noqa: PTH109  # no Path for one string
    opened = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in NAMESPACES]
    for descriptor in opened:
        if libc.setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), f"cannot join the namespaces of process {pid}")
    os.chdir(directory)


def become(command: list[str], environment: dict[str, str]) -> None:
    """Replace this process; it is killed when its parent is."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ["PATH"] = environment.get("PATH", os.defpath)  # where the command is looked for
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606  # no shell is wanted
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        os._exit(NOT_FOUND)


def wait(child: int) -> int:
    """Wait for the command and pass signals on."""

    def pass_on(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    for number in FROM_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
