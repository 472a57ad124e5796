from __future__ import annotations

import time

import pytest

from llmops_sidecars.contract import IDENTIFYING, Action, Country, PiiEntity, PiiRule
from llmops_sidecars.guard.rules import pii
from tests.sidecars_.guard.rules.kit import PATTERNED, cases, found, wide

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
        ("call (800-292-9263) now", ["800-292-9263"]),
        ("+20 2 27363093", ["+20 2 27363093"]),
        ("phone: 5551234567", ["5551234567"]),
        ("call me at 555-0143", ["555-0143"]),
        ("Tel. 612 345 678", ["612 345 678"]),
        ("тел. 8 495 123 45 67", ["8 495 123 45 67"]),
        ("手机13812345678", ["13812345678"]),
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
        ("for xy12 DE89 3704 0044 0532 0130 00", ["DE89 3704 0044 0532 0130 00"]),
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
    PiiEntity.MAC_ADDRESS: [
        ("eth0 00:1B:44:11:3A:B7 up", ["00:1B:44:11:3A:B7"]),
        ("00-1b-44-11-3a-b7", ["00-1b-44-11-3a-b7"]),
        ("001b.4411.3ab7", ["001b.4411.3ab7"]),
        ("10:20:30:40:50:60", ["10:20:30:40:50:60"]),
        ("00:25:96:FF:FE:12:34:56", ["00:25:96:FF:FE:12:34:56"]),
    ],
    PiiEntity.CRYPTO_ADDRESS: [
        ("to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.", ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"]),
        ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", ["3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"]),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"]),
        ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", ["BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"]),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            ["bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"],
        ),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"]),
        ("0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359", ["0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359"]),
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
        "phone 2 of 12",
        "Boston, MA 02110-1301 USA",
        "clause 252.227-7013",
        "6 12 24 48 96 192 384 768 1536 3072",
        "384 768 1536 3072",
        "'0123456789'",
        "ports 60000-64999",
        "h * 69069 + 907133923",
        "+1234567890abcdef",
        "1991-1998",
        "call 123456 now",
        "phone case for model 12345 at 20",
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
    PiiEntity.MAC_ADDRESS: [
        "aa:bb:cc:dd:ee:ff:00", "12:30:45", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "06-12-34-56-78-90",
        "SHA1 aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd", "aa:bb-cc:dd-ee:ff", "xaa:bb:cc:dd:ee:ff",
        "2024-01-02",
    ],
    PiiEntity.CRYPTO_ADDRESS: [
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj1",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "bc1qW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed00", "1111111111111111111111111111111111",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709", "3" * 30,
    ],
}  # fmt: skip


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


def test_an_age_is_looked_for_only_when_it_is_asked_for() -> None:
    assert set(IDENTIFYING) == set(PATTERNED) - {PiiEntity.AGE}
    assert list(pii.make(PiiRule()).find("She is 34 years old.")) == []


def test_phones_of_other_countries_are_left_alone() -> None:
    text = "+49 30 1234567, 030 1234567, (202) 555-0143, +20 2 27363093"
    assert found(PiiEntity.PHONE, text, Country.DE) == ["+49 30 1234567", "030 1234567"]
    assert found(PiiEntity.PHONE, text, Country.US) == ["(202) 555-0143"]
    assert found(PiiEntity.PHONE, text, Country.DK) == []
    assert len(found(PiiEntity.PHONE, text)) == 4


def test_checks_that_cost_much_are_bounded_and_what_is_more_counts() -> None:
    wrong = " ".join(f"0x{number:040x}".replace("a", "A") + "bB" for number in range(3)) + " "
    mixed = "0x" + "aB" * 20 + " "
    assert list(pii.make(PiiRule((PiiEntity.CRYPTO_ADDRESS,))).find(wrong + mixed * 64)) == []
    assert len(list(pii.make(PiiRule((PiiEntity.CRYPTO_ADDRESS,))).find(mixed * 70))) == 6


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
    "words of birth": "born 1 " * 20_000,
    "streets": "12 Baker " * 20_000,
    "ids": "123-45-6789 " * 15_000,
    "nine digits": "sin 123456789 " * 10_000,
    "chains": "ab:" * 60_000,
    "mixed case": ("0x" + "aB" * 20 + " ") * 5_000,
    "ages": "age 1 " * 20_000,
}


@pytest.mark.parametrize("text", SLOW.values(), ids=SLOW)
def test_text_made_to_be_slow_is_not(text: str) -> None:
    find = pii.make(PiiRule(PATTERNED)).find
    started = time.process_time()
    find(text)
    assert time.process_time() - started < 2
