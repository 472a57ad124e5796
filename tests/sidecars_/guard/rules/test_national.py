from __future__ import annotations

from itertools import pairwise

import pytest

from llmops_sidecars.contract import Country, PiiEntity, PiiRule
from llmops_sidecars.guard.rules import pii
from llmops_sidecars.guard.rules.pii.national.rule import LETTERED, NUMERIC
from llmops_sidecars.guard.rules.pii.telephony import CALLING_CODES
from tests.sidecars_.guard.rules.kit import found

ID = PiiEntity.NATIONAL_ID

FOUND = [
    (Country.US, "My SSN is 123-45-6789.", "123-45-6789"),
    (Country.US, "social security number: 123 45 6789", "123 45 6789"),
    (Country.US, '{"ssn": "123456789"}', "123456789"),
    (Country.US, "taxpayer 912-70-1234", "912-70-1234"),
    (Country.CA, "SIN 130 692 544", "130 692 544"),
    (Country.CA, "NAS : 130-692-544", "130-692-544"),
    (Country.MX, "CURP BOXW310820HNERXN09", "BOXW310820HNERXN09"),
    (Country.BR, "CPF 529.982.247-25", "529.982.247-25"),
    (Country.BR, "cpf 52998224725", "52998224725"),
    (Country.AR, "20-05536168-2", "20-05536168-2"),
    (Country.CL, "RUT 12.531.909-2", "12.531.909-2"),
    (Country.CL, "6.265.837-1 es mi RUT", "6.265.837-1"),
    (Country.GB, "NI number AB123456C", "AB123456C"),
    (Country.GB, "AB 12 34 56 C", "AB 12 34 56 C"),
    (Country.GB, "NHS number: 943 476 5919", "943 476 5919"),
    (Country.GB, "UTR 1955839661", "1955839661"),
    (Country.IE, "PPS 6433435F", "6433435F"),
    (Country.IE, "ppsn: 6433435OA", "6433435OA"),
    (Country.DE, "Steuer-ID 86 095 742 719", "86 095 742 719"),
    (Country.DE, "47036892816", "47036892816"),
    (Country.DE, "Rentenversicherung 15 070649 C 103", "15 070649 C 103"),
    (Country.DE, "Personalausweis T220001293", "T220001293"),
    (Country.AT, "SVNR 1237 010180", "1237 010180"),
    (Country.CH, "AHV 756.9217.0769.85", "756.9217.0769.85"),
    (Country.FR, "2 55 08 14 168 025 38", "2 55 08 14 168 025 38"),
    (Country.FR, "255081416802538", "255081416802538"),
    (Country.FR, "numéro de sécurité sociale 2550814168025", "2550814168025"),
    (Country.FR, "1 84 12 2A 451 089 33", "1 84 12 2A 451 089 33"),
    (Country.ES, "DNI 12345678Z", "12345678Z"),
    (Country.ES, "NIE X-1234567-L", "X-1234567-L"),
    (Country.PT, "NIF 123 456 789", "123 456 789"),
    (Country.IT, "CF RSSMRA85T10A562S", "RSSMRA85T10A562S"),
    (Country.IT, "rssmra85t10a562s", "rssmra85t10a562s"),
    (Country.IT, "RSS MRA 85T10 A562S", "RSS MRA 85T10 A562S"),
    (Country.NL, "BSN 111222333", "111222333"),
    (Country.BE, "85.07.30-033.28", "85.07.30-033.28"),
    (Country.DK, "070761-4285", "070761-4285"),
    (Country.DK, "CPR-nummer 150785 1234", "150785 1234"),
    (Country.SE, "811228-9874", "811228-9874"),
    (Country.SE, "personnummer 198112289874", "198112289874"),
    (Country.NO, "15108695088", "15108695088"),
    (Country.FI, "131052-308T", "131052-308T"),
    (Country.IS, "kennitala 120174-3399", "120174-3399"),
    (Country.PL, "PESEL 44051401359", "44051401359"),
    (Country.CZ, "710319/2745", "710319/2745"),
    (Country.SK, "710319/2745", "710319/2745"),
    (Country.HU, "TAJ 123 456 788", "123 456 788"),
    (Country.RO, "CNP 1800101221144", "1800101221144"),
    (Country.BG, "ЕГН 7523169263", "7523169263"),
    (Country.HR, "OIB 33392005961", "33392005961"),
    (Country.RS, "JMBG 0101006500006", "0101006500006"),
    (Country.SI, "EMŠO 0101006500006", "0101006500006"),
    (Country.GR, "ΑΜΚΑ 01013099997", "01013099997"),
    (Country.EE, "37605030299", "37605030299"),
    (Country.LT, "38703181745", "38703181745"),
    (Country.LV, "161175-19997", "161175-19997"),
    (Country.RU, "СНИЛС 112-233-445 95", "112-233-445 95"),
    (Country.RU, "ИНН 500100732259", "500100732259"),
    (Country.UA, "РНОКПП 1759013776", "1759013776"),
    (Country.TR, "TC kimlik no 10000000146", "10000000146"),
    (Country.IL, "תעודת זהות 000000018", "000000018"),
    (Country.ZA, "8001015009087", "8001015009087"),
    (Country.IN, "Aadhaar 2345 6789 0124", "2345 6789 0124"),
    (Country.IN, "PAN ABCPE1234F", "ABCPE1234F"),
    (Country.PK, "35202-1234567-1", "35202-1234567-1"),
    (Country.CN, "身份证号11010519491231002X", "11010519491231002X"),
    (Country.CN, "110101199003070011", "110101199003070011"),
    (Country.HK, "HKID A123456(3)", "A123456(3)"),
    (Country.TW, "A123456789", "A123456789"),
    (Country.JP, "マイナンバー 123456789018", "123456789018"),
    (Country.KR, "900101-1234568", "900101-1234568"),
    (Country.KR, "주민등록번호 211225-3123456", "211225-3123456"),
    (Country.SG, "S1234567D", "S1234567D"),
    (Country.MY, "770305-02-1234", "770305-02-1234"),
    (Country.TH, "3-1006-00445-63-5", "3-1006-00445-63-5"),
    (Country.ID, "NIK 3171011503850001", "3171011503850001"),
    (Country.AU, "TFN 123 456 782", "123 456 782"),
    (Country.AU, "Medicare 2123 45670 1", "2123 45670 1"),
]

NOT_FOUND = [
    "666-45-6789",
    "000-12-3456",
    "123-00-4567",
    "123-45-0000",
    "912-10-1234",
    "555-12-3456-789",
    "order 123456789",
    "123456789",
    "943 476 5919",
    "call 415 555 0143 now",
    "GB123456A",
    "TN 12 34 56 A",
    "ab123456c",
    "12345678A",
    "X1234567A",
    "xRSSMRA85T10A562S",
    "RSSMRA85T10A562X",
    "4111 1111 1111 1111",
    "2345 6789 0124 5678",
    "2345 6789 0125",
    "2024-01-01 10:00:00",
    "2024-01-01T10:00:00.123456",
    "1700000000000",
    "1234567890123",
    "DE89 3704 0044 0532 0130 00",
    "978-3-16-148410-0",
    "1,234,567,890",
    "192.168.100.200",
    "550e8400-e29b-41d4-a716-446655440000",
    "A123456(4)",
    "S1234567A",
    "BOXW310820HNERXN08",
    "756.9217.0769.84",
    "131052-308U",
    "710319/2746",
    "11010519491331002X",
    "using 130 692 544",
    "Decimal('1.38435736E+12')",
    "1 1 1 1 1 1 1 1 1 1 1",
]


@pytest.mark.parametrize(("country", "text", "expected"), FOUND)
def test_an_id_is_found_where_it_stands(country: Country, text: str, expected: str) -> None:
    assert found(ID, text) == [expected]
    assert found(ID, text, country) == [expected]


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_only_looks_like_one_is_left_alone(text: str) -> None:
    assert found(ID, text) == []


def test_every_country_is_in_the_tables_and_in_the_tests() -> None:
    assert (
        {*(one.country for one in NUMERIC), *(one.country for one in LETTERED)}
        == set(Country)
        == {country for country, *_ in FOUND}
    )
    assert set(CALLING_CODES) == set(Country)


def test_ids_of_other_countries_are_left_alone() -> None:
    text = "123-45-6789, 529.982.247-25, AB123456C"
    assert found(ID, text, Country.US, Country.GB) == ["123-45-6789", "AB123456C"]
    assert found(ID, text, Country.FR) == []


def test_several_stand_in_one_text() -> None:
    text = "SSNs: 123-45-6789 219-09-9998, 8001015009087 8001015009087"
    assert found(ID, text) == ["123-45-6789", "219-09-9998", "8001015009087", "8001015009087"]


@pytest.mark.parametrize("text", ["identity card number {}", "national id: {}", "tax number {}"])
def test_words_for_the_ids_of_any_country_count(text: str) -> None:
    assert found(ID, text.format("111222333")) == ["111222333"]


def test_a_word_counts_within_its_reach_only() -> None:
    assert found(ID, "BSN" + " " * 30 + "111222333") == ["111222333"]
    assert found(ID, "BSN" + " " * 60 + "111222333") == []


STRICT = [
    (country, text, number)
    for country, text, number in FOUND
    if number not in {"AB123456C", "AB 12 34 56 C", "ABCPE1234F", "2550814168025", "150785 1234", "211225-3123456"}
    and country not in {Country.US, Country.PK, Country.MY, Country.ID}
]
"""Those with a check, of which most wrong digits are noticed."""


@pytest.mark.parametrize(("country", "text", "number"), STRICT)
def test_most_wrong_digits_are_noticed(country: Country, text: str, number: str) -> None:
    places = [place for place, character in enumerate(number) if character.isdigit()]
    wrong = [number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :] for place in places]
    passing = [one for one in wrong if found(ID, text.replace(number, one), country) == [one]]
    assert len(passing) <= len(wrong) / 3, passing


def test_a_letter_that_only_folds_to_an_ascii_one_is_none() -> None:
    """Without regard to case, the long s and the sign for kelvin match s and k."""
    find = pii.make(PiiRule((ID,))).find
    assert list(find("r\u017f\u017fmra85t10a562s, 131052-308\u212a")) == []


def test_layouts_are_told_once_per_country() -> None:
    for one in NUMERIC:
        assert not set(one.alone) & set(one.beside)
    assert all(first != second for first, second in pairwise(sorted(one.pattern for one in LETTERED)))
