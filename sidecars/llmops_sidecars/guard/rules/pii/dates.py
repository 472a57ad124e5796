"""Dates as people write them, and those of birth: a date counts as one beside a word that says so only."""

from __future__ import annotations

import re2

from llmops_sidecars.guard.rules.pii.checksums import is_date, is_short_date
from llmops_sidecars.guard.rules.scan import ends_word, options

MONTHS = (
    r"jan(?:uary|uar|vier|uari|eiro)?|j[äa]nner|enero|gennaio|ene|gen|stycznia|leden|ledna|января|січня|tammikuuta|ocak"
    r"|feb(?:ruary|ruar|rero|braio|ruari|rua)?|f[ée]v(?:rier|ereiro)?|lutego|února|февраля|лютого|helmikuuta|[şs]ubat"
    r"|mar(?:ch|s|zo|t|ço|co|ts)?|m[äa]rz|maart|mrt|marca|března|марта|березня|maaliskuuta"
    r"|apr(?:il|ile)?|abril|abr|avril|avr|kwietnia|dubna|апреля|квітня|huhtikuuta|nisan"
    r"|mai|mayo?|maggio|mag|maio|mei|maj|května|мая|травня|toukokuuta|may[ıi]s"
    r"|june?|juni|juin|junio|giugno|giu|junho|czerwca|června|июня|червня|kesäkuuta|haziran"
    r"|july?|juli|juillet|juil|julio|luglio|lug|julho|lipca|července|июля|липня|heinäkuuta|temmuz"
    r"|aug(?:ust|ustus|usti)?|ao[ûu]t|agosto|ago|sierpnia|srpna|августа|серпня|elokuuta|a[ğg]ustos"
    r"|sept?(?:ember|tembre|tiembre|iembre)?|settembre|set(?:embro)?|września|září|сентября|вересня|syyskuuta|eyl[üu]l"
    r"|o[ck]t(?:ober|obre|ubre|obra)?|ottobre|ott|outubro|out|października|října|октября|жовтня|lokakuuta|ekim"
    r"|nov(?:ember|embre|iembre|embro)?|listopada|listopadu|ноября|листопада|marraskuuta|kas[ıi]m"
    r"|de[czs](?:ember|embre|iembre)?|d[ée]c(?:embre)?|dicembre|dic(?:iembre)?|dez(?:ember|embro)?|grudnia|prosince"
    r"|декабря|грудня|joulukuuta|aral[ıi]k"
)
"""Names of months and what they are shortened to."""

YEAR = r"(?:1[89]\d\d|20\d\d)"
DATE = (
    rf"{YEAR}[\-/.]\d{{1,2}}[\-/.]\d{{1,2}}"
    r"|\d{1,2}[\-/.]\d{1,2}[\-/.](?:\d{4}|\d{2})"
    r"|\d{1,2}\. ?\d{1,2}\. ?\d{4}"
    rf"|(?:\d{{1,2}}(?:st|nd|rd|th|er|\.|º|ª)?[ \-.]?(?:of |de |d')?)"
    rf"(?:{MONTHS})\.?[ \-,.]{{1,2}}(?:de |del )?(?:{YEAR}|'?\d\d)"
    rf"|(?:{MONTHS})\.? \d{{1,2}}(?:st|nd|rd|th)?,? {YEAR}"
    rf"|{YEAR} ?[年년] ?\d{{1,2}} ?[月월] ?\d{{1,2}} ?[日일]"
    rf"|{YEAR} ?(?:{MONTHS})\.? \d{{1,2}}"
)

WORDS = (
    r"born(?: on)?|date[ _\-]?of[ _\-]?birth|birth[ _\-]?dates?|birth[ _\-]?days?|d\.?o\.?b\b\.?"
    r"|geboren(?: am| op)?|geb\.|geburts[ _\-]?(?:datum|tag)|geboorte[ _\-]?(?:datum|dag)"
    r"|née? le|naissance|anniversaire|naci(?:do|da|ó|miento)|cumpleaños|nat[oa] (?:il|a)|nascita|compleanno"
    r"|nascid[oa]|nascimento|nasceu|aniversário|urodz(?:ony|ona|enia)|ur\.|född|födelsedatum|født|fødsels(?:dato|dag)"
    r"|syntynyt|syntymä(?:aika|päivä)|narozen[aí]?|doğum|doğdu|született|születési|născut[ăa]?|nașterii"
    r"|родил(?:ся|ась)|рождения|д\. ?р\.|народи(?:вся|лась)|народження|γέννησης|γεννήθηκε|تاريخ الميلاد|ولد|जन्म"
)
WORDS_WITHOUT_SPACES = r"出生|生日|生年月日|誕生日|생년월일|생일|출생"
"""What tells that a date is one of birth, in about twenty languages."""

BIRTH = rf"(?i)(?:(?:\A|[^\p{{L}}\p{{N}}])(?:{WORDS})|{WORDS_WITHOUT_SPACES})[^\d\n]{{0,30}}?(?:{DATE})"
"""A word, and a date within reach of it on the same line."""

MOST_HELD = 80
"""Characters of a word of birth, what stands behind it, and a date."""

_DATE = re2.compile(f"(?i){DATE}", options())
_BIRTH_WORD = re2.compile(rf"(?i)(?:\A|[^\p{{L}}\p{{N}}])(?:{WORDS})|{WORDS_WITHOUT_SPACES}", options())
_DATE_START = re2.compile(rf"(?i)\d|\b(?:{MONTHS})", options())
_NUMBERS = re2.compile(r"\d+", options())
_YEAR = re2.compile(YEAR, options())


def births(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The date in a match of a word and a date: the last one in it, since no other stands between them."""
    dates = [(start + found.start(), start + found.end()) for found in _DATE.finditer(text[start:end])]
    first, last = dates[-1] if dates else (start, start)
    return [(first, last)] if first < last and ends_word(text, last) and _is_possible(text[first:last]) else []


def tail(text: str) -> int:
    """Where, at the end of a text, a date of birth begins that may go on."""
    offset = max(len(text) - MOST_HELD, 0)
    last = None
    for found in _BIRTH_WORD.finditer(text[offset:]):
        last = offset + found.end()
    begins = None if last is None else _DATE_START.search(text[last:])
    return len(text) if last is None or begins is None else last + int(begins.start())


def year_of(said: str) -> int | None:
    """The year in a date, when it is told in full."""
    found = _YEAR.search(said)
    return int(found.group()) if found else None


def _is_possible(said: str) -> bool:
    """Whether numbers alone are a date in one of the orders; one with a month's name is."""
    numbers = _NUMBERS.findall(said)
    if len(numbers) < 3:  # noqa: PLR2004 - day, month, year
        return True
    first, second, third = numbers
    if len(first) == 4:  # noqa: PLR2004 - a year
        return is_date(int(first), int(second), int(third))
    dated = is_short_date if len(third) == 2 else _full  # noqa: PLR2004 - a short year
    return dated(third, second, first) or dated(third, first, second)


def _full(year: str, month: str, day: str) -> bool:
    return 1800 <= int(year) < 2100 and is_date(int(year), int(month), int(day))  # noqa: PLR2004 - people's
