"""Postal addresses, dates of birth and ages: kinds that have words in them."""

from __future__ import annotations

import pytest

from llmops_sidecars.contract import PiiEntity
from llmops_sidecars.guard.rules.pii import ages, dates, postal
from tests.sidecars_.guard.rules.kit import cases, found, wide

FOUND = {
    PiiEntity.DATE_OF_BIRTH: [
        ("I was born on 12 March 1985 in Leeds", ["12 March 1985"]),
        ("Date of birth: 12/03/1985", ["12/03/1985"]),
        ("DOB: 1985-03-12", ["1985-03-12"]),
        ("dob 3/12/85", ["3/12/85"]),
        ("(born August 4, 1961)", ["August 4, 1961"]),
        ("birthday is 12th of March 1985", ["12th of March 1985"]),
        ("Her birthdate is the 4th of July, 1976", ["4th of July, 1976"]),
        ('"date_of_birth": "1985-03-12"', ["1985-03-12"]),
        ('{"dateOfBirth":"1985-03-12"}', ["1985-03-12"]),
        ("geboren am 12.03.1985", ["12.03.1985"]),
        ("geb. 12. März 1985", ["12. März 1985"]),
        ("Geburtsdatum: 12.3.1985", ["12.3.1985"]),
        ("née le 3 mars 1985", ["3 mars 1985"]),
        ("né le 1er août 1985", ["1er août 1985"]),
        ("date de naissance : 03/03/1985", ["03/03/1985"]),
        ("nació el 12 de marzo de 1985", ["12 de marzo de 1985"]),
        ("fecha de nacimiento 12-03-1985", ["12-03-1985"]),
        ("nato a Roma il 12 marzo 1985", ["12 marzo 1985"]),
        ("nascida em 12/03/1985", ["12/03/1985"]),
        ("geboren op 12 maart 1985", ["12 maart 1985"]),
        ("ur. 12.03.1985", ["12.03.1985"]),
        ("född 1985-03-12", ["1985-03-12"]),
        ("syntynyt 12.3.1985", ["12.3.1985"]),
        ("narozena 12. 3. 1985", ["12. 3. 1985"]),
        ("doğum tarihi: 12.03.1985", ["12.03.1985"]),
        ("родилась 12 марта 1985 года", ["12 марта 1985"]),
        ("д.р. 12.03.1985", ["12.03.1985"]),
        ("出生日期：1985年3月12日", ["1985年3月12日"]),
        ("生年月日: 1985/03/12", ["1985/03/12"]),
        ("생년월일 1985년 3월 12일", ["1985년 3월 12일"]),
        (wide("DOB:1985-03-12"), [wide("1985-03-12")]),
    ],
    PiiEntity.POSTAL_ADDRESS: [
        ("I live at 221B Baker Street, London NW1 6XE.", ["221B Baker Street, London NW1 6XE"]),
        ("123 Main St, Springfield, IL 62704", ["123 Main St, Springfield, IL 62704"]),
        ("123 Main St.\nSpringfield, IL 62704-1234", ["123 Main St.\nSpringfield, IL 62704-1234"]),
        ("1600 Pennsylvania Avenue NW, Washington, DC 20500", ["1600 Pennsylvania Avenue NW, Washington, DC 20500"]),
        ("350 5th Avenue, Apt 4B, New York, NY 10118", ["350 5th Avenue, Apt 4B, New York, NY 10118"]),
        ("at 10 Downing Street they", ["10 Downing Street"]),
        ("742 Evergreen Terrace, Springfield", ["742 Evergreen Terrace"]),
        ("1 Infinite Loop, Cupertino, CA 95014", ["1 Infinite Loop, Cupertino, CA 95014"]),
        ("2024 Sunset Boulevard, Austin, TX 78701", ["2024 Sunset Boulevard, Austin, TX 78701"]),
        ("100 Queen St W, Toronto, ON M5H 2N2", ["100 Queen St W, Toronto, ON M5H 2N2"]),
        ("42 Wallaby Way, Sydney NSW 2000", ["42 Wallaby Way, Sydney NSW 2000"]),
        ("P.O. Box 1234", ["P.O. Box 1234"]),
        ("12 rue de la Paix, 75002 Paris", ["12 rue de la Paix, 75002 Paris"]),
        ("5 bis avenue des Champs-Élysées 75008 Paris", ["5 bis avenue des Champs-Élysées 75008 Paris"]),
        ("Hauptstraße 12, 10115 Berlin", ["Hauptstraße 12, 10115 Berlin"]),
        ("Karl-Marx-Allee 5, 10178 Berlin", ["Karl-Marx-Allee 5, 10178 Berlin"]),
        ("in der Hamburger Straße 12a wohnt", ["Hamburger Straße 12a"]),
        ("Am Markt 3, 04109 Leipzig", ["Am Markt 3, 04109 Leipzig"]),
        ("Bahnhofstrasse 12, 8001 Zürich", ["Bahnhofstrasse 12, 8001 Zürich"]),
        ("Calle de Alcalá 45, 28014 Madrid", ["Calle de Alcalá 45, 28014 Madrid"]),
        ("C/ Mayor 5, 2º B", ["C/ Mayor 5"]),
        ("Avenida Paulista, 1578, São Paulo - SP, 01310-100", ["Avenida Paulista, 1578, São Paulo - SP, 01310-100"]),
        ("Rua Augusta 1500", ["Rua Augusta 1500"]),
        ("Via Roma 12, 00184 Roma", ["Via Roma 12, 00184 Roma"]),
        ("Keizersgracht 123, 1015 CJ Amsterdam", ["Keizersgracht 123, 1015 CJ Amsterdam"]),
        ("ul. Marszałkowska 10/5, 00-590 Warszawa", ["ul. Marszałkowska 10/5, 00-590 Warszawa"]),
        ("Storgatan 5, 111 22 Stockholm", ["Storgatan 5, 111 22 Stockholm"]),
        ("Mannerheimintie 5, 00100 Helsinki", ["Mannerheimintie 5, 00100 Helsinki"]),
        ("ул. Ленина, д. 5, кв. 12", ["ул. Ленина, д. 5, кв. 12"]),
        ("住在北京市海淀区中关村大街27号。", ["北京市海淀区中关村大街27号"]),
        ("東京都千代田区千代田1-1", ["東京都千代田区千代田1-1"]),
    ],
    PiiEntity.AGE: [
        ("I am 34 years old", ["34"]),
        ("a 34-year-old man", ["34"]),
        ("He is 7 yrs old, she 34 y/o", ["7", "34"]),
        ("aged 34", ["34"]),
        ("age: 34", ["34"]),
        ('{"age": 34}', ["34"]),
        ("at age 12 he", ["12"]),
        ("I'm 29.", ["29"]),
        ("Alter: 34", ["34"]),
        ("34 Jahre alt", ["34"]),
        ("eine 34-jährige Frau", ["34"]),
        ("âgé de 34 ans", ["34"]),
        ("j'ai 34 ans", ["34"]),
        ("tengo 34 años", ["34"]),
        ("ho 34 anni", ["34"]),
        ("tenho 34 anos", ["34"]),
        ("34 jaar oud", ["34"]),
        ("mam 34 lat", ["34"]),
        ("мне 34 года", ["34"]),
        ("今年34岁", ["34"]),
        ("34歳", ["34"]),
        ("34세", ["34"]),
    ],
}

NOT_FOUND = {
    PiiEntity.DATE_OF_BIRTH: [
        "The meeting on 12 March 2024",
        "stubborn 3/4/2020",
        "airborne 12/03/2020",
        "released 2024-01-01",
        "born in 1985",
        "born to run, 10 songs",
        "born 45/45/2020",
        "born 12/03/20201",
        "version 1.2.2024",
        "DOB unknown\n12 March 2024",
        "Born in a small town long before the committee met on 12 March 2024",
    ],
    PiiEntity.POSTAL_ADDRESS: [
        "2008 Wall Street crash",
        "10 Supreme Court justices",
        "In 2019 Supreme Court ruled",
        "12 people on the street",
        "Via Python 3 you",
        "Heimweg 5 Minuten",
        "Top 10 Places To Go",
        "3 Way Handshake is",
        "Route 66",
        "Die Straße ist lang",
        "100 Meter Weg",
        "in 5 Square Meters",
        "Plaza 3",
        "Privatpark 12",
        "Necktie 5, Size 12",
        "Watergate 2",
        "im Jahr 2024",
        "3 place the order",
        "line 12 return Value",
        "chapter 2, verse 10",
    ],
    PiiEntity.AGE: [
        "aged 12 months cheese",
        "100% sure",
        "I am 5 minutes late",
        "in 34 years",
        "page 34",
        "package: 12",
        "stage 2",
        "the 90s",
        "I'm 29 minutes away",
        "message 12",
        "age 1.5",
        "age 300",
        "age 0",
        "average of 30",
    ],
}


@pytest.mark.parametrize(("entity", "case"), cases(FOUND))
def test_it_is_found_where_it_stands(entity: PiiEntity, case: tuple[str, list[str]]) -> None:
    text, expected = case
    assert found(entity, text) == expected


@pytest.mark.parametrize(("entity", "text"), cases(NOT_FOUND))
def test_what_only_looks_like_it_is_left_alone(entity: PiiEntity, text: str) -> None:
    assert found(entity, text) == []


TAILS = {PiiEntity.POSTAL_ADDRESS: postal.tail, PiiEntity.DATE_OF_BIRTH: dates.tail, PiiEntity.AGE: ages.tail}


@pytest.mark.parametrize(("entity", "case"), cases(FOUND))
def test_its_beginning_is_a_tail(entity: PiiEntity, case: tuple[str, list[str]]) -> None:
    """From its first whole word on, unless it has no space: one word is always held."""
    text, (value, *_) = case
    start = text.index(value)
    for end in range(start + 1, start + min(len(value), 60)):
        if " " in value[: end - start]:
            assert TAILS[entity](text[:end]) <= start, text[:end]


@pytest.mark.parametrize(
    "text",
    ["There were 12 people in the room who said", "Nobody lives here any more", "He walked down Hauptstraße and then"],
)
def test_ordinary_words_are_no_beginning(text: str) -> None:
    assert [tail(text) for tail in TAILS.values()] == [len(text)] * 3
