"""What tells a number of a person from any other: check digits, issuers, dates and areas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv6Address, ip_address

from watari.languages.personal import Phone, personal_forms


def my_number(digits: str) -> bool:
    """Return whether the last of twelve digits checks the others: 11 - Σ Pn·Qn mod 11, where 10 and 11 are 0.

    P1 is the eleventh digit from the left; Qn is n + 1 up to the sixth, then n - 5 (総務省令第八十五号第五条).
    """
    if len(digits) != 12 or len(set(digits)) == 1:
        return False
    total = sum(int(digits[11 - n]) * (n + 1 if n <= 6 else n - 5) for n in range(1, 12))
    return int(digits[11]) == (0 if total % 11 <= 1 else 11 - total % 11)


def resident_registration(digits: str) -> bool:
    """Return whether thirteen digits start with a date and a digit for century and sex; the last is random since 2020."""
    if len(digits) != 13:
        return False
    month, day = int(digits[2:4]), int(digits[4:6])
    return 1 <= month <= 12 and 1 <= day <= 31 and digits[6] in "123456789"


def nik(digits: str) -> bool:
    """Return whether sixteen digits hold a province and a date of birth (a woman's day is 40 more)."""
    if len(digits) != 16:
        return False
    province, day, month = int(digits[:2]), int(digits[6:8]), int(digits[8:10])
    return 11 <= province <= 97 and 1 <= day % 40 <= 31 and day <= 71 and 1 <= month <= 12


CHECKS: dict[str, Callable[[str], bool]] = {
    "my_number": my_number,
    "resident_registration": resident_registration,
    "nik": nik,
}


def luhn(digits: str) -> bool:
    """Return whether the Luhn sum of the digits is a multiple of ten."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_ISSUERS: tuple[tuple[int, int, int, tuple[int, ...]], ...] = (
    # digits of the prefix, first, last, lengths: ISO/IEC 7812 ranges of the large issuers.
    (1, 4, 4, (13, 16, 19)),  # Visa
    (2, 51, 55, (16,)),  # Mastercard
    (4, 2221, 2720, (16,)),
    (2, 34, 34, (15,)),  # American Express
    (2, 37, 37, (15,)),
    (4, 3528, 3589, (16, 17, 18, 19)),  # JCB
    (3, 300, 305, (14,)),  # Diners Club
    (2, 36, 36, (14,)),
    (2, 38, 39, (14,)),
    (4, 6011, 6011, (16, 17, 18, 19)),  # Discover
    (3, 644, 649, (16, 17, 18, 19)),
    (2, 65, 65, (16, 17, 18, 19)),
    (2, 62, 62, (16, 17, 18, 19)),  # UnionPay
)


def card(digits: str) -> bool:
    """Return whether the digits are a card number: an issuer's prefix and length, and the Luhn sum."""
    known = any(
        len(digits) in lengths and first <= int(digits[:size]) <= last
        for size, first, last, lengths in _ISSUERS
    )
    return known and luhn(digits)


def public_address(text: str) -> bool:
    """Return whether an IP address is one that a provider gives out: not private, loopback, documentation, ...

    Of IPv6 only 2000::/3 counts, so that `a::b` of a programming language is no address.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if not address.is_global or address.is_multicast:
        return False
    return not isinstance(address, IPv6Address) or int(address) >> 125 == 1


@dataclass(frozen=True)
class _Kind:
    digits: frozenset[int]
    local: str
    bare: bool


@cache
def _kinds(language: str) -> dict[str, _Kind]:
    phone = _phone(language)
    return {
        code: _Kind(frozenset(kind.digits), kind.local, kind.bare)
        for kind in phone.kinds
        for code in kind.codes.split()
    }


def _phone(language: str) -> Phone:
    phone = personal_forms(language).phone
    if phone is None:
        raise ValueError(f"no telephone numbers of {language}")
    return phone


def phone_groups(groups: list[str], language: str) -> bool:
    """Return whether groups of digits, as written, are a national number: the code alone in the first group."""
    kind = _kinds(language).get(groups[0])
    digits = "".join(groups)
    if kind is None or len(digits) not in kind.digits or digits[len(groups[0])] not in kind.local:
        return False
    return len(groups) == 3 and 1 <= len(groups[1]) <= 4 and 3 <= len(groups[2]) <= 4


def phone_digits(digits: str, language: str, *, bare: bool) -> bool:
    """Return whether digits without separators are a national number.

    Args:
        digits: With the 0 before the code.
        language: Whose numbers.
        bare: True if nothing around them says that they are one: only kinds that are enough of a form count.
    """
    kinds = _kinds(language)
    for size in range(2, 6):
        kind = kinds.get(digits[:size])
        if kind is None or len(digits) not in kind.digits or digits[size : size + 1] not in tuple(kind.local):
            continue
        if kind.bare or not bare:
            return True
    return False
