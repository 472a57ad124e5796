"""Pass connections from a listening socket on to an address: `python3 -m e2e.cluster.relay FD HOST:PORT`.

The socket belongs to the network namespace in which it was opened, the connections that this makes to the one in which
it runs: so it joins the two, without any change to the machine's network.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

CHUNK = 1 << 16


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Relay every connection until cancelled."""

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        except OSError:
            writer.transport.abort()
            far_writer.transport.abort()
        finally:
            writer.close()
            far_writer.close()

    async with await asyncio.start_server(accepted, sock=listener, limit=CHUNK) as server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, to its end, which is passed on: the other direction may go on."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def split_address(text: str) -> tuple[str, int]:
    """HOST:PORT in two; raises ValueError."""
    host, separator, port = text.rpartition(":")
    if not host or not separator or not port.isdecimal():
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def main(arguments: list[str]) -> None:
    """Serve until a signal ends the process."""
    listener = socket.socket(fileno=int(arguments[0]))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(listener, *split_address(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
