"""Postal addresses: a street with a number as a country writes it, and the place behind it when there is one.

What other texts have too (a German path and a number, an English court) counts only with a postcode behind it, or at
the end of a phrase.
"""

from __future__ import annotations

import re2

from llmops_sidecars.guard.rules.pii.words import listed
from llmops_sidecars.guard.rules.scan import ends_word, options, starts_word

NAME = r"\p{Lu}[\p{L}\p{Mn}'’.\-]*"
"""A word with a capital."""

ENGLISH_STREETS = (
    "Street|Avenue|Road|Boulevard|Lane|Terrace|Parkway|Highway|Crescent|Mews|Esplanade|Turnpike"
    "|St|Ave|Rd|Blvd|Ln|Ter|Pkwy|Hwy|Cres"
)
ENGLISH_OTHERS = (
    "Drive|Court|Place|Square|Way|Close|Circle|Row|Gardens|Grove|Hill|Walk|Quay|Trail|Alley|Plaza|Parade|Rise|Wharf"
    "|Green|Park|Loop|Dr|Ct|Pl|Sq|Cir|Trl"
)
ENGLISH = (
    rf"\b\d{{1,6}}[A-Za-z]?(?:[\-/]\d{{1,4}}[A-Za-z]?)?,? (?:(?:{NAME}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,4}}"
    rf"(?:(?:{ENGLISH_STREETS})\b\.?(?: (?:NE|NW|SE|SW|N|S|E|W)\b)?|(?:{ENGLISH_OTHERS})\b\.?)"
    r"|\b\d{1,6} Broadway\b|(?i:\bp\.? ?o\.? ?box \d{1,7}\b|\bPostfach \d{1,3}(?: \d{2}){0,2}\b)"
)

FRENCH_STREETS = (
    r"rue|avenue|av\.|boulevard|bd\.?|place|pl\.|chemin|ch\.|allée|allee|impasse|quai|route|cours|passage|faubourg"
    "|square|ruelle|sentier|esplanade|chaussée"
)
SMALL = r"(?:d[aeo]s?|du|della|dello|dell['’]|dei|degli|delle|del|d['’]|di|el|la|las|le|les|los|l['’]|et|e|y|sur|aux?)"
"""What stands between the names in Romance languages."""

FRENCH_CAPITALS = r"Rue|Avenue|Av\.|Boulevard|Bd\.?|Place|Chemin|Allée|Impasse|Quai|Route|Cours|Passage"
FRENCH = (
    rf"\b\d{{1,4}}(?: ?(?:bis|ter|quater))?,? "
    rf"(?:(?:{FRENCH_STREETS}) (?:{SMALL} ?){{0,3}}|Rue |(?:{FRENCH_CAPITALS}) (?:{SMALL} ?){{1,3}})"
    rf"{NAME}(?:[ \-](?:{SMALL} ?){{0,2}}{NAME}){{0,5}}"
)

ROMANCE_STREETS = (
    r"Calle|C/|Avenida|Avda?\.?|Av\.|Plaza|Pza\.?|Paseo|Carrer|Camino|Ronda|Travesía|Carretera|Calzada|Carrera|Jirón"
    r"|Viale|V\.le|Piazza|P\.za|P\.zza|Corso|C\.so|Largo|Vicolo|Strada|Piazzale|Lungotevere|Lungomare"
    r"|Rua|R\.|Travessa|Tv\.|Praça|Alameda|Rodovia|Estrada"
)
ROMANCE = (
    rf"(?:{ROMANCE_STREETS}|Via) ?(?:{SMALL} ?){{0,3}}(?:{NAME}|\d{{1,3}})(?: (?:{SMALL} ?){{0,2}}{NAME}){{0,4}}"
    r",? (?:n\.? ?[ºo°]? ?|No\.? ?|# ?|núm\.? ?)?\d{1,5}(?:/?[A-Za-z])?\b"
)

SLAVIC = (
    rf"(?:ul\.|ulica|al\.|aleja|pl\.|plac|os\.) ?{NAME}(?: {NAME}){{0,3}} \d{{1,4}}[A-Za-z]?(?:/\d{{1,4}})?\b"
    r"|(?:ул\.|улица|пр\.|проспект|пр-т|пер\.|переулок|бульвар|вул\.|площадь|пл\.|шоссе|наб\.)"
    r" ?\p{Lu}[\p{L}.\-]*(?: \p{L}[\p{L}.\-]*){0,2}"
    r",? (?:д\.? ?|дом |буд\. ?)?\d{1,4}\p{Cyrillic}?(?:,? ?(?:кв|корп|стр)\.? ?\d{1,4}){0,2}"
)

GERMANIC_STREETS = (
    r"straße|strasse|str\.|gasse|chaussee|straat|laan|gracht|plantsoen|gatan|vägen|veien|vegen|gränd|katu"
)
GERMANIC_OTHERS = (
    r"allee|weg|platz|damm|ufer|ring|steig|promenade|markt|hof|berg|graben|kai|plein|kade|singel|dijk|steeg|dreef|park"
    r"|gade|vej|gata|gate|tie|kuja|polku|torget|stigen|väg|plads|linden"
)
GERMAN_PREPOSITIONS = "Am|An der|Im|In der|Auf dem|Auf der|Unter den|Zum|Zur"
GERMANIC = (
    rf"(?:(?:\p{{Lu}}[\p{{L}}\-]* )?(?:Straße|Strasse|Str\.|Gasse)|\p{{Lu}}[\p{{L}}\-.]*(?:{GERMANIC_STREETS})"
    rf"|(?:{GERMAN_PREPOSITIONS}) \p{{Lu}}[\p{{L}}\-]*|\p{{Lu}}[\p{{L}}\-]*(?i:{GERMANIC_OTHERS}))"
    r" \d{1,4}(?: ?[A-Za-z]\b)?(?:[\-/]\d{1,4}[a-z]?)?"
)

CHINESE = (
    r"(?:北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海"
    r"|内蒙古|广西|西藏|宁夏|新疆)(?:省|市|自治区)?\p{Han}{2,12}(?:路|街|道|巷|弄)\d{1,5}号(?:\p{Han}?\d{1,4}(?:室|楼|栋|单元|号)){0,3}"
)
JAPANESE = (
    r"(?:〒 ?\d{3}-\d{4}[ ]?)?(?:北海道|東京都|(?:大阪|京都)府|(?:青森|岩手|宮城|秋田|山形|福島|茨城|栃木|群馬|埼玉"
    r"|千葉|神奈川|新潟|富山|石川|福井|山梨|長野|岐阜|静岡|愛知|三重|滋賀|兵庫|奈良|和歌山|鳥取|島根|岡山|広島|山口|徳島|香川|愛媛|高知|福岡|佐賀|長崎|熊本|大分|宮崎"
    r"|鹿児島|沖縄)県)[\p{Han}\p{Hiragana}\p{Katakana}ー]{2,16}\d{1,4}(?:丁目|番地?|号|-\d{1,4}|\d{1,4}){0,4}"
)

PATTERNS = {
    "english": ENGLISH,
    "french": FRENCH,
    "romance": ROMANCE,
    "slavic": SLAVIC,
    "germanic": GERMANIC,
    "chinese": CHINESE,
    "japanese": JAPANESE,
}
"""Streets, by how they are written."""

POSTCODE = (
    r"(?:[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|[A-Z]{2},? \d{5}(?:-\d{4})?"
    r"|(?:NSW|VIC|QLD|WA|SA|TAS|ACT|NT) \d{4}|(?:[A-Z]{1,2}-)?\d{5}(?:-\d{3,4})?|\d{4} ?[A-Z]{2}|\d{2}-\d{3}"
    r"|\d{4}-\d{3}|\d{3} \d{2}|\d{6})"
)
"""Of about thirty countries."""

PLACE = rf"{NAME}(?: (?:(?:am|an der|im|de|do|da|del|la|sur|upon|on) )?{NAME}){{0,3}}"
FOLLOWING = re2.compile(
    rf"(?:,? (?i:apt|apartment|suite|ste|unit|flat|floor|room|#|piso|lok|m)\.? ?[0-9A-Za-z\-]{{1,6}})?"
    rf"(?:(?:[,\n] {{0,2}}| - ){PLACE}){{0,3}}(?:,? |[,\n] {{0,2}})"
    rf"(?:{POSTCODE}\b(?:,? {PLACE})?|(?:[A-Z]{{1,2}}-)?\d{{4}} {PLACE})",
    options(),
)
"""The rest of an address, up to its postcode, or to the place behind that; one of four digits needs a place."""

MOST_FOLLOWING = 90
"""Characters of the rest."""

UNSURE = re2.compile(rf"(?:{ENGLISH_OTHERS})\.?$|^(?:\d{{1,6}} Broadway$|Via )|^(?:19|20)\d\d[ ,\-]", options())
"""Streets that are easily something else: they count at the end of a phrase, or with the rest of an address."""

NEEDING = re2.compile(
    rf"(?i:{GERMANIC_OTHERS}) \d[^ ]*(?: ?[A-Za-z])?$|^(?:{GERMAN_PREPOSITIONS}) |^(?:19|20)\d\d[ ,\-]", options()
)
"""Streets that count with the rest of an address only."""

MOST_HELD = 64
"""Characters of an address that is still coming."""

STARTS = re2.compile(
    rf"\d+(?:st|nd|rd|th)?|\b(?:{ROMANCE_STREETS}|Via|ul\.|ulica|al\.|aleja|pl\.|plac|os\.)"
    rf"|(?i:{GERMANIC_STREETS}|{GERMANIC_OTHERS})\.?(?: |$)|\b(?:Am|An|Im|In|Auf|Unter|Zum|Zur)\b"
    r"|\p{Lu}[\p{L}\-]* (?:S(?:t(?:r(?:a[ßs]?)?)?)?|G(?:as?)?)?$|(?i:\bp\.? ?o\.? ?b?(?:ox?)?|\bPostfach)"
    r"|ул\.|улица|пр\.|проспект|пр-т|пер\.|переулок|бульвар|вул\.|площадь|пл\.|шоссе|наб\."
    r"|[北天上重河山辽吉黑江浙安福湖广海四贵云陕甘青内西宁新〒東京大岩宮秋茨栃群埼千神富石岐静愛三滋兵奈和鳥島岡徳香高佐長熊鹿沖]",
    options(),
)
"""Where an address may begin."""

SMALL_WORDS = frozenset(
    listed(
        "de da do das dos du des del della dello dei degli delle di el la las le les los et e y sur aux au am an der "
        "den dem im upon on rue avenue av. boulevard bd bd. place pl. chemin ch. allée allee impasse quai route cours "
        "passage faubourg square ruelle sentier esplanade chaussée bis ter quater apt suite unit flat д. дом кв. корп. "
        "стр. box"
    )
)
"""Words without a capital that are parts of addresses."""

BEGINNINGS = frozenset(word[:length] for word in SMALL_WORDS for length in range(1, len(word) + 1))


def addresses(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The street of a match with what follows it, unless it is easily something else and nothing says otherwise."""
    if not starts_word(text, start) or not ends_word(text, end):
        return []
    street = text[start:end]
    following = FOLLOWING.match(text[end : end + MOST_FOLLOWING])
    if following is not None and ends_word(text, end + following.end()):
        return [(start, end + following.end())]
    if NEEDING.search(street) or (UNSURE.search(street) and not _ends_phrase(text, end)):
        return []
    return [(start, end)]


def tail(text: str) -> int:
    """Where, at the end of a text, an address begins that may go on."""
    offset = max(len(text) - MOST_HELD, 0)
    near = text[offset:]
    for found in STARTS.finditer(near):
        if _goes_on(near[found.end() :]):
            start = _word(near, found.start())
            named = near[start:].startswith(("Str", "Gas")) and near[start - 1 : start] == " "
            return offset + (_word(near, start - 1) if named else start)
    return len(text)


def _word(text: str, place: int) -> int:
    """Where the word before a place begins; the place itself when there is none."""
    while place > 0 and (text[place - 1].isalpha() or text[place - 1] == "-"):
        place -= 1
    return place


def _goes_on(said: str) -> bool:
    """Whether all words are parts of addresses, or the last one the beginning of such a word."""
    words = said.replace(",", " ").split()
    last = [] if not words or said[-1].isspace() else [words.pop()]
    return all(_fits(word) for word in words) and all(_fits(word) or word.lower() in BEGINNINGS for word in last)


def _fits(word: str) -> bool:
    return not word[0].islower() or word.lower() in SMALL_WORDS


def _ends_phrase(text: str, end: int) -> bool:
    """Whether no small letter follows: the phrase is over."""
    after = text[end : end + 2].lstrip(" ")
    return not after or not (after[0].islower() or after[0].isdigit())
