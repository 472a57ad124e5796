"""What a connection is opened with: read from the files each time, since a Secret changes under running pods."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from pathlib import Path

from msgspec import Struct

from llmops_sidecars.contract import SharedStore

MOST_BYTES = 64 * 1024
PURPOSE = b"llmops-cache/1"


class LoginError(Exception):
    """The files cannot be used; the message says why to who can mend them, and holds nothing of their content."""


class Login(Struct, frozen=True):
    """A password, or none, and what may be made of it."""

    password: bytes

    @property
    def secret(self) -> bytes:
        """What names and checksums are made with; nothing where the store has no password.

        Without the password, who holds a copy of the data can neither try prompts out on the names nor make an entry.
        """
        return hmac.digest(self.password, PURPOSE, hashlib.sha256) if self.password else b""


def read(store: SharedStore) -> Login:
    """The login as its file has it now; raises LoginError."""
    if store.password_file is None:
        return Login(b"")
    try:
        password = Path(store.password_file).read_bytes()[:MOST_BYTES].strip()
    except OSError as error:
        raise LoginError(f"the password cannot be read: {error.strerror}") from error
    if not password:
        raise LoginError("the password is empty")
    return Login(password)


def tls(store: SharedStore) -> ssl.SSLContext | None:
    """How the server has to prove itself; raises LoginError."""
    if not store.tls:
        return None
    try:
        return ssl.create_default_context(cafile=store.ca_file)
    except ssl.SSLError as error:
        raise LoginError("the authorities are not certificates in PEM") from error
    except OSError as error:
        raise LoginError(f"the authorities cannot be read: {error.strerror}") from error
