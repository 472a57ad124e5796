"""Run a command where nothing but a loopback can be reached: `unshare … python -m tests.support.alone COMMAND…`.

A new network namespace has one interface, the loopback, and it is down.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

ALONE = ("unshare", "--user", "--map-root-user", "--net", sys.executable, "-m", "tests.support.alone")
"""What to put before a command."""

SET_FLAGS, UP_AND_RUNNING = 0x8914, 0x41


def main() -> None:
    """Bring the loopback up, make sure that it is all there is, and become the command."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, SET_FLAGS, struct.pack("16sH14s", b"lo", UP_AND_RUNNING, b""))
    interfaces = {name for _, name in socket.if_nameindex()}
    if interfaces != {"lo"}:
        raise SystemExit(f"not alone: {sorted(interfaces)}")
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
