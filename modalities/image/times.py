"""Times and dates as chats write them, in Chinese and English."""

from __future__ import annotations

import re

_CLOCK = (
    r"(?:[上下]午|凌晨|清晨|早上|中午|傍晚|晚上|[AaPp][Mm])?\s*"
    r"\d{1,2}[:：]\d{2}(?:[:：]\d{2})?\s*(?:[AaPp]\.?[Mm]\.?)?"
)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DAY = (
    r"今天|昨天|前天|刚刚|(?:星期|周|礼拜)[一二三四五六日天]"
    r"|(?:(?:19|20)\d{2}年)?\d{1,2}月\d{1,2}[日号]|(?:19|20)\d{2}[-/.]\d{1,2}[-/.]\d{1,2}"
    r"|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)?\d{2}|\d{1,2}/\d{1,2}"
    rf"|{_MONTH}\s*\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s*(?:19|20)\d{{2}})?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\s*{_MONTH}(?:,?\s*(?:19|20)\d{{2}})?"
    r"|(?i:today|yesterday|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?)"
)
# Read marks beside a time come out of the OCR as ticks, slashes or letters like v.
_TICKS = r"[\s✓✔√/\\|vVwWyY]{0,4}"
_TIME = re.compile(rf"(?:(?:{_CLOCK}|{_DAY})(?:[\s,，.·•|—–-]|at)*){{1,5}}{_TICKS}")
_CLOCK_AT_END = re.compile(rf"\s*({_CLOCK}){_TICKS}$")


def is_time(text: str) -> bool:
    """Whether a line says a date, a time, or both, and nothing else (Chinese and English)."""
    short = len(text) <= 40  # and so is the search, whatever the text
    return short and any(map(str.isalnum, text)) and _TIME.fullmatch(text.strip()) is not None


def without_clock(text: str) -> tuple[str, str]:
    """A text and the time at its end; without one, or where it is all, the text and ""."""
    match = _CLOCK_AT_END.search(text)
    if match is None or match.start() == 0:
        return text, ""
    return text[: match.start()], match[1].strip()
