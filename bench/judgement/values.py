"""Made-up personal data with valid check digits, and things that only look like it."""

from __future__ import annotations

import itertools
import random
import string
import uuid
from collections.abc import Callable
from datetime import date, timedelta

Make = Callable[[random.Random], str]

FIRST = [
    "Lena",
    "Tomasz",
    "Aisha",
    "Bruno",
    "Chloé",
    "Diego",
    "Ewa",
    "Femi",
    "Greta",
    "Hugo",
    "Ivana",
    "Jonas",
    "Katya",
    "Luis",
    "Mei",
    "Noor",
    "Olga",
    "Pablo",
]
LAST = [
    "Bauer",
    "Costa",
    "Dupont",
    "Eklund",
    "Fischer",
    "Greco",
    "Horvat",
    "Ito",
    "Jansen",
    "Kowalczyk",
    "Lopez",
    "Mäkinen",
    "Nagy",
    "Okoye",
    "Petrov",
    "Rao",
]
HOSTS = [
    "posteo.example",
    "mail.example.org",
    "uni-graz.example.at",
    "firma.example.de",
    "shop.example.co.uk",
    "web.example.fr",
]

PHONES = {
    "US": "+1 (###) ###-####",
    "CA": "+1-###-###-####",
    "GB": "+44 20 #### ####",
    "IE": "+353 1 ### ####",
    "DE": "+49 30 #######",
    "AT": "+43 1 #######",
    "CH": "+41 44 ### ## ##",
    "FR": "+33 1 ## ## ## ##",
    "BE": "+32 2 ### ## ##",
    "NL": "+31 20 ### ####",
    "ES": "+34 91# ### ###",
    "PT": "+351 21# ### ###",
    "IT": "+39 06 #### ####",
    "GR": "+30 21# ### ####",
    "PL": "+48 22 ### ## ##",
    "CZ": "+420 2## ### ###",
    "SK": "+421 2 #### ####",
    "HU": "+36 1 ### ####",
    "RO": "+40 21 ### ####",
    "RS": "+381 11 ### ####",
    "HR": "+385 1 #### ###",
    "SE": "+46 8 ### ### ##",
    "NO": "+47 2# ## ## ##",
    "DK": "+45 3# ## ## ##",
    "FI": "+358 9 #### ####",
    "TR": "+90 212 ### ## ##",
    "RU": "+7 495 ###-##-##",
    "IN": "+91 9#### #####",
    "CN": "+86 138 #### ####",
    "JP": "+81 3-####-####",
    "KR": "+82 2-####-####",
    "BR": "+55 11 9####-####",
    "AU": "+61 2 #### ####",
    "ZA": "+27 11 ### ####",
}
NATIONAL_PHONES = ("(2##) 2##-####", "020 7### ####", "030 ########", "01 4# ## ## ##", "0171 #######", "06-########")


def digits(pattern: str, chance: random.Random) -> str:
    """A pattern with a digit from 2 to 9 for each `#`."""
    return "".join(str(chance.randint(2, 9)) if sign == "#" else sign for sign in pattern)


def email(chance: random.Random) -> str:
    """An address in one of the usual forms."""
    first, last = (chance.choice(names).lower().replace("é", "e").replace("ä", "a") for names in (FIRST, LAST))
    local = chance.choice((f"{first}.{last}", f"{first[0]}{last}", f"{first}{chance.randint(1, 99)}", f"{first}+news"))
    return f"{local}@{chance.choice(HOSTS)}"


def phone(chance: random.Random) -> str:
    """Mostly international, some in national forms."""
    patterns = list(PHONES.values()) if chance.random() < 0.8 else NATIONAL_PHONES
    return digits(chance.choice(patterns), chance)


def luhn(body: str) -> str:
    """A number with its check digit (ISO/IEC 7812-1)."""
    doubled = sum(sum(divmod(2 * int(one), 10)) for one in body[::-2])
    return body + str(-(doubled + sum(int(one) for one in body[-2::-2])) % 10)


def card(chance: random.Random) -> str:
    """A card of one of three schemes, in one piece or in groups."""
    start, length = chance.choice((("4", 16), ("5" + str(chance.randint(1, 5)), 16), ("37", 15)))
    number = luhn(start + "".join(str(chance.randint(0, 9)) for _ in range(length - 1 - len(start))))
    if chance.random() < 0.4:
        return number
    groups = (4, 4, 4, 4) if length == 16 else (4, 6, 5)
    return _grouped(number, groups, chance.choice(" -"))


def _grouped(number: str, groups: tuple[int, ...], sign: str) -> str:
    parts, place = [], 0
    for size in groups:
        parts.append(number[place : place + size])
        place += size
    return sign.join(parts)


IBANS = {"DE": 18, "FR": 23, "GB": 18, "ES": 20, "IT": 23, "NL": 14, "PL": 24, "AT": 16, "BE": 12, "CH": 17, "CZ": 20}
IBAN_LETTERS = {"GB": "NWBK", "NL": "INGB", "IT": "X"}


def iban(chance: random.Random) -> str:
    """An account number by ISO 13616, in one piece or in groups of four."""
    country, length = chance.choice(list(IBANS.items()))
    letters = IBAN_LETTERS.get(country, "")
    account = letters + "".join(str(chance.randint(0, 9)) for _ in range(length - len(letters)))
    number = "".join(str(int(sign, 36)) for sign in account + country) + "00"
    whole = f"{country}{98 - int(number) % 97:02d}{account}"
    return whole if chance.random() < 0.5 else " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))


def _born(chance: random.Random) -> date:
    return date(1940, 1, 1) + timedelta(days=chance.randint(0, 25000))


def _number(chance: random.Random, length: int) -> str:
    return "".join(str(chance.randint(0, 9)) for _ in range(length))


def _weighted(body: str, weights: tuple[int, ...]) -> int:
    return sum(int(one) * weight for one, weight in zip(body, weights, strict=True))


def ssn(chance: random.Random) -> str:
    """United States: no check digit, some numbers are never given."""
    return f"{chance.randint(100, 665)}-{chance.randint(10, 99)}-{chance.randint(1000, 9999)}"


def nino(chance: random.Random) -> str:
    """United Kingdom: National Insurance."""
    return f"{chance.choice(('AB', 'CE', 'JK', 'PR'))} {_number(chance, 2)} {_number(chance, 2)} {_number(chance, 2)} C"


def pesel(chance: random.Random) -> str:
    """Poland."""
    body = _born(chance).strftime("%y%m%d") + _number(chance, 4)
    return body + str(-_weighted(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10)


def dni(chance: random.Random) -> str:
    """Spain."""
    number = chance.randint(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def bsn(chance: random.Random) -> str:
    """Netherlands: the elfproef."""
    while True:
        body = str(chance.randint(10_000_000, 99_999_999))
        check = _weighted(body, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
        if check < 10:
            return body + str(check)


def nir(chance: random.Random) -> str:
    """France: 13 digits and a key."""
    born = _born(chance)
    body = (
        f"{chance.choice('12')}{born:%y%m}{chance.randint(10, 95):02d}{chance.randint(1, 900):03d}{_number(chance, 3)}"
    )
    key = f"{97 - int(body) % 97:02d}"
    return _grouped(body + key, (1, 2, 2, 2, 3, 3, 2), " ")


def rijksregister(chance: random.Random) -> str:
    """Belgium."""
    born = _born(chance)
    body = f"{born:%y%m%d}{chance.randint(1, 997):03d}"
    return f"{body[:2]}.{body[2:4]}.{body[4:6]}-{body[6:]}.{97 - int(body) % 97:02d}"


def personnummer(chance: random.Random) -> str:
    """Sweden."""
    whole = luhn(_born(chance).strftime("%y%m%d") + _number(chance, 3))
    return f"{whole[:6]}-{whole[6:]}"


def hetu(chance: random.Random) -> str:
    """Finland."""
    born, number = _born(chance), chance.randint(2, 899)
    sign = "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(f"{born:%d%m%y}{number:03d}") % 31]
    return f"{born:%d%m%y}{'A' if born.year > 1999 else '-'}{number:03d}{sign}"


def cpf(chance: random.Random) -> str:
    """Brazil."""
    body = _number(chance, 9)
    for length in (10, 11):
        check = _weighted(body, tuple(range(length, 1, -1))) * 10 % 11 % 10
        body += str(check)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def resident(chance: random.Random) -> str:
    """China: ISO 7064, MOD 11-2."""
    body = f"110101{_born(chance):%Y%m%d}{_number(chance, 3)}"
    return body + "10X98765432"[_weighted(body, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11]


def kimlik(chance: random.Random) -> str:
    """Türkiye."""
    body = str(chance.randint(1, 9)) + _number(chance, 8)
    ninth = (7 * sum(map(int, body[::2])) - sum(map(int, body[1::2]))) % 10
    return f"{body}{ninth}{(sum(map(int, body)) + ninth) % 10}"


def steuer(chance: random.Random) -> str:
    """Germany: one digit twice in the first ten, ISO 7064 MOD 11,10."""
    pool = chance.sample("0123456789", 9)
    body = [*pool, pool[0]]
    chance.shuffle(body)
    while body[0] == "0" or any(a == b for a, b in itertools.pairwise(body)):
        chance.shuffle(body)
    product = 10
    for one in body:
        total = (int(one) + product) % 10 or 10
        product = total * 2 % 11
    return "".join(body) + str((11 - product) % 10)


def egn(chance: random.Random) -> str:
    """Bulgaria."""
    body = _born(chance).strftime("%y%m%d") + _number(chance, 3)
    return body + str(_weighted(body, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10)


NATIONAL: dict[str, tuple[str, Make]] = {
    "US": ("SSN", ssn),
    "GB": ("National Insurance number", nino),
    "PL": ("PESEL", pesel),
    "ES": ("DNI", dni),
    "NL": ("BSN", bsn),
    "FR": ("numéro de sécurité sociale", nir),
    "BE": ("rijksregisternummer", rijksregister),
    "SE": ("personnummer", personnummer),
    "FI": ("henkilötunnus", hetu),
    "BR": ("CPF", cpf),
    "CN": ("身份证号", resident),
    "TR": ("T.C. kimlik no", kimlik),
    "DE": ("Steuer-ID", steuer),
    "BG": ("ЕГН", egn),
}


def ip_address(chance: random.Random) -> str:
    """Of version 4 or 6."""
    if chance.random() < 0.7:
        return ".".join(str(chance.randint(1, 254)) for _ in range(4))
    return "2001:db8:" + ":".join(f"{chance.getrandbits(16):x}" for _ in range(6))


def mac(chance: random.Random) -> str:
    """Six octets with colons or hyphens."""
    return chance.choice(":-").join(f"{chance.getrandbits(8):02x}" for _ in range(6))


def ethereum(chance: random.Random) -> str:
    """An address without the mixed-case check of EIP-55, which is optional."""
    return "0x" + f"{chance.getrandbits(160):040x}"


def birthday(chance: random.Random) -> str:
    """A date in one of the usual forms."""
    return _born(chance).strftime(chance.choice(("%d.%m.%Y", "%d/%m/%Y", "%Y-%m-%d", "%d %B %Y", "%B %d, %Y")))


STREETS = ("{} Maple Street, Springfield, IL 6####", "{} High Street, Leeds LS1 4AB", "{} Oak Avenue, Austin, TX 7####")
FOREIGN = ("Lindenstraße {}, 1####  Berlin", "{} rue de la Paix, 7500# Paris", "Calle Mayor {}, 2801# Madrid")


def address(chance: random.Random) -> str:
    """Street, number, place and code."""
    pattern = chance.choice((*STREETS, *FOREIGN)).replace("  ", " ")
    return digits(pattern, chance).format(chance.randint(2, 199))


def _letters(chance: random.Random, length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(chance.choice(alphabet) for _ in range(length))


SECRETS: dict[str, Make] = {
    "openai": lambda chance: "sk-" + _letters(chance, 47) + "7",
    "aws": lambda chance: "AKIA" + _letters(chance, 16, string.ascii_uppercase + "234567"),
    "github": lambda chance: "ghp_" + _letters(chance, 36),
    "gitlab": lambda chance: "glpat-" + _letters(chance, 20),
    "slack": lambda chance: f"xoxb-{_number(chance, 12)}-{_letters(chance, 24)}",
    "google": lambda chance: "AIza" + _letters(chance, 35),
    "stripe": lambda chance: "sk_live_" + _letters(chance, 24),
    "hugging face": lambda chance: "hf_" + _letters(chance, 34),
    "npm": lambda chance: "npm_" + _letters(chance, 36),
    "token": lambda chance: f"eyJ{_letters(chance, 20)}.eyJ{_letters(chance, 40)}.{_letters(chance, 43)}",
}

ENTITIES: dict[str, Make] = {
    "Email": email,
    "Phone": phone,
    "CreditCard": card,
    "IBAN": iban,
    "IPAddress": ip_address,
    "MACAddress": mac,
    "CryptoAddress": ethereum,
    "DateOfBirth": birthday,
    "PostalAddress": address,
}
"""National ids come with the name of their number, and are made apart."""

LOOKALIKES: dict[str, Make] = {
    "order number": lambda chance: f"{chance.randint(100, 999)}-{_number(chance, 7)}-{_number(chance, 7)}",
    "version": lambda chance: f"{chance.randint(1, 9)}.{chance.randint(0, 40)}.{chance.randint(0, 99)}",
    "time": lambda chance: (
        f"{_born(chance)}T{chance.randint(10, 23)}:{chance.randint(10, 59)}:{chance.randint(10, 59)}Z"
    ),
    "hash": lambda chance: f"{chance.getrandbits(160):040x}",
    "uuid": lambda chance: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
    "price": lambda chance: f"{chance.randint(1, 999)},{chance.randint(100, 999)}.{_number(chance, 2)} EUR",
    "coordinates": lambda chance: f"{chance.uniform(-80, 80):.5f}, {chance.uniform(-170, 170):.5f}",
    "isbn": lambda chance: (
        f"978-{chance.randint(0, 9)}-{_number(chance, 3)}-{_number(chance, 5)}-{chance.randint(0, 9)}"
    ),
    "tracking number": lambda chance: f"1Z{_letters(chance, 16, string.ascii_uppercase + string.digits)}",
    "wrong card": lambda chance: luhn("4" + _number(chance, 14))[:-1] + "x",
    "part": lambda chance: f"{_letters(chance, 3, string.ascii_uppercase)}-{_number(chance, 4)}-{_number(chance, 2)}",
    "range": lambda chance: f"{chance.randint(1900, 1999)}-{chance.randint(2000, 2025)}",
    "count": lambda chance: f"{chance.randint(1, 99)} {_number(chance, 3)} {_number(chance, 3)}",
    "path": lambda chance: f"/api/v{chance.randint(1, 4)}/items/{_number(chance, 6)}",
}
