"""A connection to a service outside, for a URL that somebody else wrote: no redirects, no proxies, nothing inside.

What listens on the pod's own addresses (the engine, the administration port) and on those of the node (a cloud's
metadata service) trusts whoever reaches it. A name may lead to them, so addresses are looked at as they are resolved.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Forbidden = Callable[[Address], bool]

CONNECTIONS = 32
"""At a time, to one service."""

SCHEMES = frozenset({"http", "https"})

METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "168.63.129.16", "100.100.100.200")))
"""Where clouds keep their metadata services outside link-local addresses."""


class Client:
    """One service at its URL."""

    def __init__(self, url: str, authorities: str | None, forbidden: Forbidden) -> None:
        """Take it over; raises ValueError for a URL that cannot be asked."""
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname or parts.username is not None:
            raise ValueError("webhook: the url must be http or https with a host, and without a user's name")
        if (address := _address(parts.hostname)) is not None and forbidden(address):
            raise ValueError("webhook: the url leads to this pod or its node")
        self._url, self._authorities, self._forbidden = url, authorities, forbidden
        self._secure = parts.scheme == "https"

    async def post(self, headers: dict[str, str], body: bytes, most: int) -> tuple[int, bytes]:
        """Status and body of the answer; raises OSError and aiohttp.ClientError, and ValueError for a long one.

        A kept connection that turns out to be closed is replaced once.
        """
        try:
            return await self._post(headers, body, most)
        except aiohttp.ServerDisconnectedError:
            return await self._post(headers, body, most)

    async def _post(self, headers: dict[str, str], body: bytes, most: int) -> tuple[int, bytes]:
        session = SESSIONS.of(self._forbidden)
        trusted = await asyncio.to_thread(_trusted, self._authorities) if self._secure else True
        async with session.post(self._url, headers=headers, data=body, ssl=trusted, allow_redirects=False) as answer:
            said = await answer.content.read(most + 1)
            while len(said) <= most and (more := await answer.content.read(most + 1)):
                said += more
            if len(said) > most:
                raise ValueError("the answer is too long")
            return answer.status, said


class Sessions:
    """The connections of this process, by what they must not reach; each belongs to the event loop that made it."""

    def __init__(self) -> None:
        """Start with none."""
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Forbidden, aiohttp.ClientSession]]
        self._open = WeakKeyDictionary()

    def of(self, forbidden: Forbidden) -> aiohttp.ClientSession:
        """The session for that, a new one for the first who asks."""
        known = self._open.setdefault(asyncio.get_running_loop(), {})
        if forbidden not in known:
            known[forbidden] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=CONNECTIONS, resolver=_Resolver(forbidden)),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept-Encoding"),
            )
        return known[forbidden]

    async def close(self) -> None:
        """Close those of this loop."""
        for session in self._open.pop(asyncio.get_running_loop(), {}).values():
            await session.close()


SESSIONS = Sessions()


def is_inside(address: Address) -> bool:
    """Whether an address is the pod's own or the node's: loopback, link-local, none at all, many at once."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    one = mapped or address
    return one in METADATA or one.is_loopback or one.is_link_local or one.is_unspecified or one.is_multicast


class _Resolver(ThreadedResolver):
    """Names as the system knows them, without the addresses that must not be reached."""

    def __init__(self, forbidden: Forbidden) -> None:
        super().__init__()
        self._forbidden = forbidden

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        allowed = [one for one in found if not self._forbidden(ipaddress.ip_address(one["host"].partition("%")[0]))]
        if not allowed:
            raise OSError("the name leads to this pod or its node")
        return allowed


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _trusted(authorities: str | None) -> ssl.SSLContext:
    """Made anew when the file changes; reading all of a system's authorities takes a hundredth of a second."""
    return _context(authorities, 0 if authorities is None else Path(authorities).stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _context(authorities: str | None, _changed: int) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authorities)
