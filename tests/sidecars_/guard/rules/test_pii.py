from __future__ import annotations

import time
from typing import Any

import pytest

from llmops_sidecars.contract import Action, PiiEntity, PiiRule
from llmops_sidecars.guard.rules import pii
from llmops_sidecars.guard.rules.scan import plain


def wide(text: str) -> str:
    """The text in full-width forms, as Japanese keyboards make them."""
    return "".join(chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in text)


def found(entity: PiiEntity, text: str) -> list[str]:
    """What the rule finds, as it stands in the text."""
    findings = pii.make(PiiRule((entity,), Action.MASK)).find(plain(text))
    return [text[finding.start : finding.end] for finding in sorted(findings)]


FOUND = {
    PiiEntity.EMAIL: [
        ("Write to jane.doe@example.com today", ["jane.doe@example.com"]),
        ("jane+tag@mail.example.co.uk.", ["jane+tag@mail.example.co.uk"]),
        ("<a_b%c@example.io>,x-y@example.org", ["a_b%c@example.io", "x-y@example.org"]),
        ("O'Neil <o'neil@example.ie>", ["o'neil@example.ie"]),
        ("'jane@example.com'", ["jane@example.com"]),
        ("müller@exämple.de und", ["müller@exämple.de"]),
        ("иван@пример.рф", ["иван@пример.рф"]),
        ("请联系jane@example.com谢谢", ["jane@example.com"]),
        (wide("jane@example.com"), [wide("jane@example.com")]),
        ("mailto:jane@xn--exmple-cua.xn--p1ai", ["jane@xn--exmple-cua.xn--p1ai"]),
        (r'{"to": "\njane@example.com"}', ["jane@example.com"]),
        ("n@example.com", ["n@example.com"]),
    ],
    PiiEntity.PHONE: [
        ("Call me at +49 30 1234567 tomorrow.", ["+49 30 1234567"]),
        ("+1 (202) 555-0143", ["+1 (202) 555-0143"]),
        ("+1-202-555-0143", ["+1-202-555-0143"]),
        ("tel:+442079460958", ["+442079460958"]),
        ("0049 30 1234567", ["0049 30 1234567"]),
        ("(202) 555-0143 or 202.555.0144", ["(202) 555-0143", "202.555.0144"]),
        ("1-800-555-1234", ["1-800-555-1234"]),
        ("030 1234567", ["030 1234567"]),
        ("(030) 1234567", ["(030) 1234567"]),
        ("0171/2345678", ["0171/2345678"]),
        ("06 12 34 56 78", ["06 12 34 56 78"]),
        ("020 7946 0958, please", ["020 7946 0958"]),
        ("01712345678", ["01712345678"]),
        ("am 01.02.2024 030 1234567", ["030 1234567"]),
        ("415-555-0143 2 times", ["415-555-0143"]),
        ("202\u2011555\u20110143", ["202\u2011555\u20110143"]),
        ("+49\u00a030\u00a01234567", ["+49\u00a030\u00a01234567"]),
        (wide("+49 30 1234567"), [wide("+49 30 1234567")]),
        ("98765 43210", ["98765 43210"]),
        ("138 1234 5678", ["138 1234 5678"]),
        ("(11) 91234-5678", ["(11) 91234-5678"]),
        (r"line\n030 1234567", ["030 1234567"]),
        ("030 1234567/0171 2345678", ["030 1234567", "0171 2345678"]),
    ],
    PiiEntity.CREDIT_CARD: [
        ("4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        ("4111111111111111", ["4111111111111111"]),
        ("5500-0000-0000-0004", ["5500-0000-0000-0004"]),
        ("3782 822463 10005", ["3782 822463 10005"]),
        ("card 4111 1111 1111 1111 12/25 cvv 123", ["4111 1111 1111 1111"]),
        ("2 4111 1111 1111 1111 123", ["4111 1111 1111 1111"]),
        ("4111 1111 1111 1111 4242 4242 4242 4242", ["4111 1111 1111 1111", "4242 4242 4242 4242"]),
        ("4222222222222", ["4222222222222"]),
        ("2025 4111 1111 1111 1111", ["4111 1111 1111 1111"]),
    ],
    PiiEntity.IBAN: [
        ("DE89 3704 0044 0532 0130 00", ["DE89 3704 0044 0532 0130 00"]),
        ("DE89370400440532013000.", ["DE89370400440532013000"]),
        ("de89 3704 0044 0532 0130 00 thanks for it", ["de89 3704 0044 0532 0130 00"]),
        ("GB82 WEST 1234 5698 7654 32", ["GB82 WEST 1234 5698 7654 32"]),
        ("NO93 8601 1117 947", ["NO93 8601 1117 947"]),
        ("FR14-2004-1010-0505-0001-3M02-606", ["FR14-2004-1010-0505-0001-3M02-606"]),
        (
            "DE89 3704 0044 0532 0130 00 GB82WEST12345698765432",
            ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
        ),
    ],
    PiiEntity.IP_ADDRESS: [
        ("from 192.168.10.7 to 10.0.0.1.", ["192.168.10.7", "10.0.0.1"]),
        ("http://203.0.113.9:8080/x", ["203.0.113.9"]),
        ("host:10.0.0.1", ["10.0.0.1"]),
        ("2001:db8::8a2e:370:7334", ["2001:db8::8a2e:370:7334"]),
        ("[fe80::1]", ["fe80::1"]),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334: up", ["2001:0db8:85a3:0000:0000:8a2e:0370:7334"]),
        ("::ffff:203.0.113.9", ["::ffff:203.0.113.9"]),
    ],
}

NOT_FOUND = {
    PiiEntity.EMAIL: [
        "@example", "a@b", "me @ example.com", "jane@example", "price @10.00", "git@@example.com", "a@-b.com", "x@1.2",
    ],
    PiiEntity.PHONE: [
        "1234567890",
        "01.02.2024",
        "2024-02-01 10",
        "12/31/1999",
        "3.14159265358979",
        "0.123456789",
        "10.0.0.1",
        "4111 1111 1111 1111",
        "order 4571239982",
        "0123456789abcdef",
        "/0123456789",
        "1700000000",
        "0000012345",
        "555-0143",
        "+12345",
        "12 000 000 EUR",
        "1,000,000",
        "100 200 3000",
        "a0171234567",
    ],
    PiiEntity.CREDIT_CARD: [
        "4111 1111 1111 1112",
        "1111111111111117",
        "0000 0000 0000 0000",
        "4444444444444444444444",
        "0.4111111111111111",
        "x4111111111111111",
        "4111111111111111z",
        "41 11 11 11 11 11 11 11",
    ],
    PiiEntity.IBAN: [
        "DE89 3704 0044 0532 0130 01",
        "XX89 3704 0044 0532 0130 00",
        "DE89 3704 0044 0532 0130 0",
        "DE893704004405320130001",
        "ABCDE89370400440532013000",
        "AB12",
    ],
    PiiEntity.IP_ADDRESS: [
        "256.1.1.1", "1.2.3", "1.2.3.4.5", "12:30:45", "std::vector", "a[1::2]", "aa:bb:cc:dd:ee:ff", "::", "v1.2.3.4",
        "::1", "1.2.3.04",
    ],
}  # fmt: skip


def cases(table: dict[PiiEntity, Any]) -> list[Any]:
    return [
        pytest.param(entity, case, id=f"{entity.value}: {case[0] if isinstance(case, tuple) else case}")
        for entity, entity_cases in table.items()
        for case in entity_cases
    ]


@pytest.mark.parametrize(("entity", "case"), cases(FOUND))
def test_personal_data_is_found_where_it_stands(entity: PiiEntity, case: tuple[str, list[str]]) -> None:
    text, expected = case
    assert found(entity, text) == expected


@pytest.mark.parametrize(("entity", "text"), cases(NOT_FOUND))
def test_what_only_looks_like_it_is_left_alone(entity: PiiEntity, text: str) -> None:
    assert found(entity, text) == []


def test_only_the_entities_that_are_asked_for_are_looked_for() -> None:
    find = pii.make(PiiRule((PiiEntity.EMAIL,), Action.BLOCK)).find
    findings = find("jane@example.com, +49 30 1234567, 10.0.0.1")
    assert [(finding.kind, finding.label, finding.action) for finding in findings] == [
        ("Email", "[EMAIL]", Action.BLOCK)
    ]


SLOW = {
    "groups": "1 " * 60_000,
    "area codes": "030 " * 60_000,
    "phones": "0123 456789 " * 20_000,
    "digits": "4" * 120_000,
    "at signs": "a@" * 60_000,
    "dots": "1.1.1.1" * 20_000,
    "colons": "a:" * 60_000,
    "accounts": "DE89" * 30_000,
    "plus signs": "+" * 120_000,
}


@pytest.mark.parametrize("text", SLOW.values(), ids=SLOW)
def test_text_made_to_be_slow_is_not(text: str) -> None:
    find = pii.make(PiiRule()).find
    started = time.process_time()
    find(text)
    assert time.process_time() - started < 2
