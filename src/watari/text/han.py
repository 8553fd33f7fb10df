"""Han characters of one standard and not of the other: what tells Japanese from Chinese without a kana."""

from __future__ import annotations

from functools import cache


@cache
def told_apart() -> tuple[frozenset[str], frozenset[str]]:
    """Return (characters of no Chinese standard, characters of no Japanese standard)."""
    han = [chr(point) for point in range(0x4E00, 0xA000)]

    def within(char: str, encoding: str) -> bool:
        try:
            char.encode(encoding)
        except UnicodeEncodeError:
            return False
        return True

    japanese = {char for char in han if within(char, "shift_jis") or within(char, "cp932")}
    chinese = {char for char in han if within(char, "gb2312") or within(char, "big5")}
    return frozenset(japanese - chinese), frozenset(chinese - japanese)
