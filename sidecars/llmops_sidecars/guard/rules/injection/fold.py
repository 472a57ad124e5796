"""The form of a character in which texts are compared: lower case, without accents, disguises undone, one for one."""

from __future__ import annotations

import unicodedata

GONE = "\0"
"""Stands for a character that nobody sees, so that places stay what they are."""

TAGS = range(0xE0020, 0xE007F)
"""Invisible copies of ASCII."""

SQUARED = ((0x1F130, 26), (0x1F150, 26), (0x1F170, 26), (0x1F1E6, 26))
"""First code points of alphabets drawn in boxes and circles, and of flags."""

UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u0640")
"""Fillers and the Arabic stretch, which are letters to Unicode."""

PLAIN = {
    **dict(zip("ßłøđıæœþðħŧŋ", "slodiaotdhtn", strict=True)),
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True)),
    **dict(zip("أإآٱىةؤئ", "اااايهوي", strict=True)),
    "ё": "е",
    "’": "'",
    "‘": "'",
    "ʼ": "'",
    "`": "'",
    **dict(
        zip(
            "請說話設規則語時間對過這個們讓給無視條訊實現後與會為將從開發現號碼網頁執輸應該寫題種麼點進擬覽傳備沒難問記憶顯護錄聽機經當變換轉檔歷級線統義約東遵體內容隱藏獲權關鍵類處詳細絕對禁諱違選擇擔憂戲劇劃導複製標籤並歸類邊際",
            "请说话设规则语时间对过这个们让给无视条讯实现后与会为将从开发现号码网页执输应该写题种么点进拟览传备没难问记忆显护录听机经当变换转档历级线统义约东遵体内容隐藏获权关键类处详细绝对禁讳违选择担忧戏剧划导复制标签并归类边际",
            strict=True,
        )
    ),
}

LOOKALIKES = str.maketrans(
    "авсԁеғɡһіјкӏмпорԛгѕтцѵшхуᴢѡαβϲδεφγηικλμνορστυχωζ", "abcdefghijklmnopqrstuvwxyzwabcdefyniklmvopstuxwz"
)
"""Cyrillic and Greek letters that pass for Latin ones inside a Latin word."""

LEET = str.maketrans("0134578@$!|", "oieastbasil")
"""Digits and signs that pass for letters inside a word."""


class _Folded(dict[int, str]):
    """Filled as characters are met: the table is as large as the alphabets in use."""

    def __missing__(self, code: int) -> str:
        self[code] = result = _folded(code)
        return result


_TABLE = _Folded()


def fold(text: str) -> str:
    """Each character in its compared form, `GONE` where it is invisible: as long as the text."""
    return text.lower() if text.isascii() else text.translate(_TABLE)


def _folded(code: int) -> str:
    if code in TAGS:
        return chr(code - 0xE0000).lower()
    for first, count in SQUARED:
        if first <= code < first + count:
            return chr(ord("a") + code - first)
    character = chr(code)
    if _is_unseen(character):
        return GONE
    simple = unicodedata.normalize("NFKC", character)
    lower = (simple if len(simple) == 1 else character).lower()[:1]
    if lower in PLAIN:
        return PLAIN[lower]
    return _without_accent(lower)


def _is_unseen(character: str) -> bool:
    category = unicodedata.category(character)
    accent = category == "Mn" and not unicodedata.name(character, "").startswith(
        ("DEVANAGARI", "BENGALI", "TAMIL", "THAI")
    )
    return character in UNSEEN or category == "Cf" or accent


def _without_accent(character: str) -> str:
    """The Latin or Greek letter under its accents; letters of other alphabets are whole as they are."""
    base = unicodedata.normalize("NFD", character)[0]
    return base if base.isascii() or "α" <= base <= "ω" else character
