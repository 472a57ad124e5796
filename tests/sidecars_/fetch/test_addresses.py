from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from yarl import URL

from llmops_sidecars.fetch.addresses import Addresses
from llmops_sidecars.fetch.errors import FetchError

PUBLIC, PRIVATE = "https://203.0.114.7", "http://10.0.0.7"


@pytest.fixture
async def public() -> AsyncIterator[Addresses]:
    """Redirects of a hub with a public address."""
    addresses = Addresses(URL(PUBLIC))
    yield addresses
    await addresses.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest",
        "https://[::ffff:169.254.169.254]/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://[fd00::1]/",
        "https://[fe80::1]/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "https://127.1/",
        "http://203.0.114.8/",
        "ftp://203.0.114.8/",
        "file:///etc/passwd",
    ],
)
async def test_a_public_hub_may_not_send_anybody_there(public: Addresses, url: str) -> None:
    with pytest.raises(FetchError):
        public.require_allowed(URL(url))


@pytest.mark.parametrize(
    "url", ["https://203.0.114.8/file", "https://[2606:4700::1]/", PUBLIC, "https://cdn.example/x"]
)
async def test_a_public_hub_may_send_to_the_public(public: Addresses, url: str) -> None:
    public.require_allowed(URL(url))


@pytest.mark.parametrize("host", ["localhost", "0x7f.1", "0177.0.0.1"])
async def test_names_are_judged_by_what_they_resolve_to(public: Addresses, host: str) -> None:
    with pytest.raises(FetchError, match="private address"):
        await public.resolve(host, 443)


@pytest.mark.parametrize("hub", [PRIVATE, "http://127.0.0.1:8080", "http://[fd00::7]"])
async def test_a_private_hub_may_send_to_private_addresses_but_not_to_the_metadata_service(hub: str) -> None:
    addresses = Addresses(URL(hub))
    addresses.require_allowed(URL("http://10.0.0.8/file"))
    assert await addresses.resolve("localhost", 80)
    with pytest.raises(FetchError, match="private address"):
        addresses.require_allowed(URL("http://169.254.169.254/latest"))
    await addresses.close()


async def test_a_hub_with_a_name_in_the_cluster_is_private_once_it_is_resolved() -> None:
    addresses = Addresses(URL("http://localhost:8080"))
    with pytest.raises(FetchError):
        addresses.require_allowed(URL("http://10.0.0.8/file"))
    await addresses.resolve("localhost", 8080)
    addresses.require_allowed(URL("http://10.0.0.8/file"))
    await addresses.close()
