"""An issuer of access tokens, run in a pod of its own: OpenID configuration and keys out of a Secret, over TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

from aiohttp import web

SECRETS = Path("/secret")


async def document(request: web.Request) -> web.Response:
    """One of the two documents."""
    name = "configuration.json" if request.path.startswith("/.well-known") else "keys.json"
    return web.Response(body=(SECRETS / name).read_bytes(), content_type="application/json")


if __name__ == "__main__":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SECRETS / "tls.crt", SECRETS / "tls.key")
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", document)
    app.router.add_get("/keys", document)
    web.run_app(app, port=8080, ssl_context=context, print=None)
