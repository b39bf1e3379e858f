"""What identifies a person, or leads to one, in normalised text: patterns, checked by checksums and
numbering plans, so that prices, dates and model numbers stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

import phonenumbers
from stdnum import luhn, numdb
from stdnum.cn import ric
from stdnum.exceptions import ValidationError


class Kind(StrEnum):
    """In the order in which one is believed where two overlap."""

    EMAIL = "EMAIL"
    ID_CARD = "ID_CARD"
    ORDER = "ORDER"
    BANK_CARD = "BANK_CARD"
    PHONE = "PHONE"
    ADDRESS = "ADDRESS"


Found = Iterator[tuple[int, int]]

_SEP = r"[ \-.·,、]{0,2}"  # between digits, as people and transcripts write them
_NOT_INSIDE = r"(?<![0-9A-Za-z])(?<!\d[.,])"  # a number of its own, no part of another


def _digits(raw: str) -> str:
    return "".join(re.findall(r"\d", raw))


def _grouped(raw: str) -> bool:
    """Digit by digit, or in groups of two and more: no list of other numbers."""
    sizes = [len(group) for group in re.findall(r"\d+", raw)]
    return set(sizes) == {1} or min(sizes[:-1], default=2) >= 2


def _near(text: str, start: int, words: re.Pattern[str], width: int) -> bool:
    return words.search(text, max(0, start - width), start) is not None


_LOCAL = r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_])?"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}(?![A-Za-z0-9])"
_EMAIL = re.compile(rf"{_LOCAL}@{_HOST}|(?![A-Z][a-z]+ @){_LOCAL} ?@ ?{_HOST}")  # no @mention
_SPOKEN_EMAIL = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z0-9_]+(?:(?: (?:dot|underscore|dash) | ?点 ?|\.)[A-Za-z0-9_]+)*"
    r"(?:(?: at | ?艾特 ?)(?:[A-Za-z0-9-]+(?: dot | ?点 ?))+"
    r"| ?[(\[]at[)\]] ?(?:[A-Za-z0-9-]+(?: dot |\.))+)"
    r"(?:com|net|org|cn|edu|io|co|uk|de|gov|me|info|hk|tw)(?![A-Za-z0-9])",
    re.I,
)


def email(text: str) -> Found:
    for pattern in (_EMAIL, _SPOKEN_EMAIL):
        for match in pattern.finditer(text):
            yield match.span()


_PLACES = numdb.get("cn/loc")
_ID_CARD = re.compile(rf"{_NOT_INSIDE}[1-9](?:{_SEP}\d){{16}}{_SEP}[\dXx](?![0-9A-Za-z])")


def id_card(text: str) -> Found:
    """Chinese resident identity numbers: place, date of birth and checksum are right."""
    for match in _ID_CARD.finditer(text):
        if _grouped(match.group()[:-1]) and _is_id(re.sub(r"[^\dX]", "", match.group().upper())):
            yield match.span()


def _is_id(number: str) -> bool:
    """Not ric.is_valid, which refuses a county founded after the birth: numbers are given later."""
    try:
        ric.get_birth_date(number)
    except ValidationError:
        return False
    return number[-1] == ric.calc_check_digit(number) and bool(_PLACES.info(number[:6])[0][1])


_CARD = re.compile(rf"{_NOT_INSIDE}[2-9](?:{_SEP}\d){{12,18}}(?![0-9A-Za-z])")
_CARD_WORDS = re.compile(
    r"卡号|银行卡|信用卡|储蓄卡|借记卡|账号|\b(?:card|visa|mastercard|amex|account)\b", re.I
)
# Issuers' first digits and how many digits there are: ISO/IEC 7812 and the Chinese banks' old ones.
_ISSUERS = (
    (r"4", (13, 16, 19)),
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),
    (r"3[47]", (15,)),
    (r"62|60138|9558|436742|456351", (16, 17, 18, 19)),
    (r"6011|64[4-9]|65", (16, 19)),
    (r"35(?:2[89]|[3-8])", (16,)),
    (r"30[0-5]|36|38", (14,)),
)


def bank_card(text: str) -> Found:
    """Payment cards: the checksum is right, and the issuer's length or a word before it."""
    for match in _CARD.finditer(text):
        number = _digits(match.group())
        if not _grouped(match.group()) or not luhn.is_valid(number):
            continue
        of_issuer = any(
            re.match(first, number) and len(number) in lengths for first, lengths in _ISSUERS
        )
        if of_issuer or _near(text, match.start(), _CARD_WORDS, 24):
            yield match.span()


_PHONE_WORDS = re.compile(
    r"电话|手机|座机|联系方式|致电|回电|号码是|打给|拨打|来电|微信|"
    r"\b(?:phone|mobile|mob|cell|telephone|tel|call|called|calling|ring|text|dial|reach|contact|"
    r"whatsapp|number is|number's|landline|voicemail|fax)\b",
    re.I,
)
_CN_MOBILE = re.compile(rf"{_NOT_INSIDE}(?:86{_SEP})?1{_SEP}[3-9](?:{_SEP}\d){{9}}(?![0-9A-Za-z])")
_MONEY = ("$", "¥", "€", "£")
_SEPARATED = re.compile(r"\d\)? ?[\- .]? ?\(?\d{3,4}[\- .]\d{3,4}$")
# Numbering plans by which a number without a country code is tried; the later ones only where a
# word before it says what it is.
_REGIONS, _MORE_REGIONS = ("CN", "US", "GB"), ("HK", "TW", "SG", "AU", "IN", "JP", "KR", "DE", "FR")


def phone(text: str) -> Found:
    """Numbers that their country's plan knows, and that are written or announced as such."""
    if sum(map(str.isdigit, text)) < 7:
        return
    announced = bool(_PHONE_WORDS.search(text))
    for region in _REGIONS + (_MORE_REGIONS if announced else ()):
        for match in phonenumbers.PhoneNumberMatcher(text, region):
            if "," in match.raw_string or text[: match.start].endswith(_MONEY):
                continue
            told = announced and _near(text, match.start, _PHONE_WORDS, 32)
            if told or _written_as_phone(match, region):
                yield match.start, match.end
    for spaced in _CN_MOBILE.finditer(text):
        number = "+86" + _digits(spaced.group())[-11:]
        if _grouped(spaced.group()) and phonenumbers.is_valid_number(phonenumbers.parse(number)):
            yield spaced.span()


def _written_as_phone(match: phonenumbers.PhoneNumberMatch, region: str) -> bool:
    raw = match.raw_string
    if raw.startswith(("+", "(+", "00")):
        return True
    if region == "CN":
        return raw[0] in "1(0" or raw.startswith("86") or _SEPARATED.search(raw) is not None
    if region == "GB":
        return raw[0] in "(0" and (raw.startswith("07") or _SEPARATED.search(raw) is not None)
    return _SEPARATED.search(raw) is not None


_FILL = r"[\s:#=(\[【“\"'是为叫,，]*"
_ORDER_ZH = re.compile(
    r"(?:(?:订单|运单|快递|物流|包裹|面单|取件|退货|退款|换货|售后|发货|交易|下单|邮包|寄件)"
    r"(?P<named>(?:单号|编号|单编号|号码|流水号|号|单)?)|(?P<alone>单号|流水号))"
    rf"{_FILL}(?P<number>[A-Za-z]{{0,4}}{_SEP}\d(?:{_SEP}[A-Za-z]{{0,2}}\d)*[A-Za-z]{{0,2}})"
    r"(?![0-9A-Za-z])"
)
_ORDER_EN = re.compile(
    r"\b(?:order|tracking|parcel|package|shipment|consignment|waybill|awb|delivery|booking|return|"
    r"rma)s?(?P<named>(?:[\s-]*(?:number|num|no|nr|id|code|reference|ref)\b\.?)*)"
    rf"(?:{_FILL}(?:is|was)?){{1,2}}"
    r"(?P<number>[A-Z]{0,4}-?\d(?:[A-Z]{0,2}[\- ]?\d)*[A-Z]{0,2})(?![0-9A-Z])",
    re.I,
)
# Forms that carriers and shops give their numbers, known without a word before them.
_ORDER_FORMS = re.compile(
    r"(?<![0-9A-Za-z])(?:SF\d{12,13}|YT\d{13}|JD[A-Z]{0,2}\d{11,15}|JT\d{13}|ZTO\d{12}|"
    r"1Z[0-9A-Z]{16}|TBA\d{12}|\d{3}-\d{7}-\d{7}|[A-Z]{2}\d{9}[A-Z]{2})(?![0-9A-Za-z])"
)


_LEAST_ORDER_DIGITS = 6  # fewer are a count or a year
_DATE = re.compile(r"(?:19|20)\d\d[-./]?\d{1,2}[-./]?\d{1,2}")


def order(text: str) -> Found:
    """Numbers of orders and parcels: after a word that says so, or of a carrier's own form."""
    for pattern in (_ORDER_ZH, _ORDER_EN):
        for match in pattern.finditer(text):
            number = match["number"]
            if len(_digits(number)) < _LEAST_ORDER_DIGITS or _DATE.fullmatch(number):
                continue
            # "快递 138…" is the courier's phone as likely as a parcel.
            named = match["named"] or match.groupdict().get("alone")
            if named or not _CN_MOBILE.fullmatch(number):
                yield match.span("number")
    for match in _ORDER_FORMS.finditer(text):
        yield match.span()
