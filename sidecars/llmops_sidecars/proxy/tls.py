"""TLS whose certificate follows its files: new connections get the new one, those that are open go on.

One context is given to the server for good. At each handshake it hands over to the newest context that could be made of
the files, so that nothing half replaced is ever used, and an authority that was taken away is gone.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from llmops_sidecars.proxy.asgi import Scope
from llmops_sidecars.proxy.watched import UnusableError, Watched, read_up_to

CERTIFICATE, KEY = "tls.crt", "tls.key"
"""The names of the files, as a Secret of type kubernetes.io/tls has them."""

AUTHORITY = "ca.crt"
"""The name of the file with the authorities of client certificates."""

MOST_BYTES = 1024 * 1024

STATE_KEY = "client_certificate"
"""Under which a connection's client certificate stands in the state of a request's scope."""


class Certificate(NamedTuple):
    """What new connections are served with, and until when it is valid."""

    context: ssl.SSLContext
    not_after: datetime


class Tls(Watched[Certificate]):
    """The certificate in a directory; with a directory of authorities, clients have to show one of theirs."""

    def __init__(self, directory: Path, authorities: Path | None = None) -> None:
        super().__init__("TLS certificate")
        self._certificate, self._key = directory / CERTIFICATE, directory / KEY
        self._authority = None if authorities is None else authorities / AUTHORITY
        self.context = self._new()
        """For the server. It has no certificate: without one in use, no handshake ends well."""
        self.context.sni_callback = self._hand_over

    def files(self) -> Iterable[Path]:
        """Certificate, key, authorities."""
        return (self._certificate, self._key, *((self._authority,) if self._authority else ()))

    def load(self) -> Certificate:
        """A context of the files as they are now."""
        context = self._new()
        try:
            context.load_cert_chain(self._certificate, self._key, password="")
        except ssl.SSLError as error:
            raise UnusableError(f"{CERTIFICATE} and {KEY} are not a certificate and its key, both in PEM") from error
        if self._authority is not None:
            try:
                context.load_verify_locations(self._authority)
            except ssl.SSLError as error:
                raise UnusableError(f"{AUTHORITY} holds no certificate in PEM") from error
        return Certificate(context, _not_after(read_up_to(self._certificate, MOST_BYTES)))

    def details(self, value: Certificate | None) -> dict[str, Any]:
        """Until when it is valid."""
        return {} if value is None else {"not_after": value.not_after.isoformat()}

    @property
    def problem(self) -> str | None:
        """What is not as it should be; None when all is well."""
        if self.error is not None or self.current is None:
            return self.error
        expired = self.current.not_after <= datetime.now(UTC)
        return f"{CERTIFICATE} has expired on {self.current.not_after:%Y-%m-%d}" if expired else None

    def _new(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self._authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.options |= ssl.OP_NO_TICKET  # a resumed session would bring an authority back that was taken away
            context.num_tickets = 0
        return context

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        """At each handshake, with or without a server name."""
        if self.current is None:
            return int(ssl.ALERT_DESCRIPTION_INTERNAL_ERROR)
        connection.context = self.current.context
        return None


def peer_of(transport: Any) -> Mapping[str, Any] | None:
    """The certificate that the client of a connection has shown."""
    connection = transport.get_extra_info("ssl_object")
    return None if connection is None else connection.getpeercert() or None


def client_certificate(scope: Scope) -> Mapping[str, Any] | None:
    """The certificate that the client of a request has shown when it connected."""
    found: Mapping[str, Any] | None = scope.get("state", {}).get(STATE_KEY)
    return found


def _not_after(pem: bytes) -> datetime:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError as error:
        raise UnusableError(f"{CERTIFICATE} holds no certificate in PEM") from error
