"""Where a redirect may lead: not to this node, its cluster or its cloud's metadata, unless the hub itself is there.

Addresses are checked where they are resolved, so that what was checked is what is connected to.
"""

from __future__ import annotations

import ipaddress
import socket

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from llmops_sidecars.fetch.errors import FetchError


class Addresses(AbstractResolver):
    """Resolves names. The hub's own are never questioned; when one is not public, others may be private too."""

    def __init__(self, hub: URL) -> None:
        self._hub = hub
        self._resolver = ThreadedResolver()
        self._private = _is_literal(hub) and not _address(hub.host or "").is_global

    def require_allowed(self, url: URL) -> None:
        """Check a URL before it is asked; raises FetchError. Names are checked when they are resolved."""
        if url.scheme not in {"http", "https"} or not url.host:
            raise FetchError(f"the hub redirects to {url.scheme!r}, which is not HTTP")
        if self._hub.scheme == "https" and url.scheme != "https":
            raise FetchError(
                f"the hub redirects from HTTPS to plain HTTP at {url.host}; nothing was fetched from there"
            )
        if _is_literal(url) and url.host != self._hub.host:
            self._require(url.host, url.host)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name; raises FetchError for one that is not allowed, OSError for one that is unknown."""
        found = await self._resolver.resolve(host, port, family)
        if host == self._hub.host:
            self._private = any(not _address(each["host"]).is_global for each in found)
            return found
        for each in found:
            self._require(host, each["host"])
        return found

    async def close(self) -> None:
        """Nothing is kept open."""
        await self._resolver.close()

    def _require(self, host: str, literal: str) -> None:
        address = _address(literal)
        if not address.is_global and (address.is_link_local or not self._private):
            raise FetchError(f"the hub redirects to {host}, a private address; set the endpoint to a hub that does not")


def _is_literal(url: URL) -> bool:
    """Whether the host is an address and no name: by aiohttp's own rule, since it then resolves nothing."""
    host = url.host or ""
    return ":" in host or host.replace(".", "").isdigit()


def _address(literal: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; an IPv4 one in IPv6 clothes is the IPv4 one. Raises FetchError for forms like 2130706433."""
    try:
        address = ipaddress.ip_address(literal.partition("%")[0])
    except ValueError as error:
        raise FetchError(f"{literal!r} is not a host name or an address in its usual form") from error
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
