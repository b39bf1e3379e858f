"""Where somebody lives: what looks like a street and a door, in Chinese and in English."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PROVINCE = (
    "北京|上海|天津|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|"
    "海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
# A character of a name: none that leads to an address, or stands between an address and the rest;
# some that do both lead only where no name that begins so is known.
_NAME = r"(?:(?![到在是住寄送往址给去的了我你他她它这跟请把您就也没不要买叫])[一-鿿])"
_NO_LEAD = r"(?:(?![从于和为有都那回来])|(?=从化|和平|和田|和县|于洪|那曲|来宾))"
_NUMBER = r"[\dA-Za-z一二三四五六七八九十百零〇][\dA-Za-z一二三四五六七八九十百零〇\-]{0,6}"
_GAP = r"[ ,]?"
_AREA = (
    rf"(?:(?:{_PROVINCE})(?:省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区)?{_GAP})?"
    rf"(?:{_NAME}{{1,7}}?(?:市|自治州|地区|盟){_GAP})?"
    rf"(?:{_NAME}{{1,7}}?(?:新区|区|县|旗|市){_GAP})?"
    rf"(?:{_NAME}{{1,7}}?(?:街道|镇|乡){_GAP})?"
)
_STREET = (
    rf"{_NAME}{{1,8}}?(?:大道|大街|胡同|路|街|巷|弄|道|村|里|屯)"
    r"(?:[东西南北中]段?|[一二三四五六七八九十]段)?"
)
_DOOR = rf"{_GAP}{_NUMBER}{_GAP}(?:号院|号|弄|巷|组)"
_ESTATE = (
    rf"{_GAP}{_NAME}{{2,10}}?"
    r"(?:小区|花园|公寓|大厦|家园|花苑|苑|城|广场|新村|宿舍|中心|府|湾|庭|园)"
)
_UNIT = rf"{_GAP}{_NUMBER}{_GAP}(?:号楼|栋|幢|座|单元|室|层|楼|号|房|门)"
_CHINESE = re.compile(
    # A street and a door, or an estate and a building, or an area and either alone.
    rf"{_NO_LEAD}{_AREA}(?:{_STREET}{_DOOR}(?:{_ESTATE})?(?:{_UNIT})*(?:{_GAP}\d{{3,4}}(?!\d))?"
    rf"|(?:{_STREET})?{_ESTATE}(?:{_UNIT}){{1,4}}(?:{_GAP}\d{{3,4}}(?!\d))?)"
)
_POSTCODE_ZH = re.compile(r"(?:邮编|邮政编码)[是为::\s]{0,3}(?P<code>\d{6})(?!\d)")

_STREET_EN = (
    r"street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|way|place|pl|square|"
    r"terrace|close|crescent|parkway|pkwy|highway|hwy|circle|row|gardens|grove|mews|hill"
)
# No name of a street: "5 minutes' drive", "3 days on the road".
_NO_NAME_EN = (
    r"(?:minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|times?|miles?|km|items?|boxes|of|the|"
    r"on|in|at|by|to|from|for|a|an|and|or|my|your|more|other|percent|dollars?|pounds?|stars?|people|"
    r"orders?|am|pm|is|was|all|out|per|each|inch|gb|tb|mm|cm|kg|piece|pieces|no|one|half|long)"
)
_WORD_EN = rf"(?!{_NO_NAME_EN}\b)(?:[A-Za-z0-9][A-Za-z0-9'’]*|[A-Za-z]{{1,2}}\.)"
_ENGLISH = re.compile(
    r"(?<![\w.,$£€#/-])"
    r"(?:(?:flat|apt|apartment|unit|suite|room)\.? ?#?\d{1,4}[a-z]?,? )?"
    rf"\d{{1,5}}[a-z]?,? (?:{_WORD_EN} ){{1,3}}(?:{_STREET_EN})\b\.?"
    r"(?:,? (?:north|south|east|west|[ns][ew]|[nsew])\b\.?)?"
    r"(?:,? ?(?:apt|apartment|unit|suite|ste|flat|floor|room|#)\.? ?#?\d{1,4}[a-z]?\b)?"
    r"(?:, ?(?-i:[A-Z])[A-Za-z'. ]{1,24}?(?=,|\.|;|$|\?|!| [A-Z]{1,2}\d| [A-Z]{2} \d{5}))*"
    r"(?:,? (?:[A-Z]{2} )?\d{5}(?:-\d{4})?(?!\d))?",
    re.I,
)
_POSTCODE_GB = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2})(?![A-Za-z0-9])"
)
_PO_BOX = re.compile(r"\bP\.? ?O\.? ?Box \d{1,6}\b", re.I)
_ZIP = re.compile(
    r"\b(?:zip|postal|post)(?: ?code)?(?: is|:)? (?P<code>\d{5}(?:-\d{4})?)(?!\d)", re.I
)


def address(text: str) -> Iterator[tuple[int, int]]:
    """Streets with a door, estates with a building, and postcodes that are announced as such."""
    for pattern in (_CHINESE, _ENGLISH, _POSTCODE_GB, _PO_BOX):
        for match in pattern.finditer(text):
            found = match.group()
            yield (
                match.end() - len(found.lstrip(" ,")),
                match.start() + len(found.rstrip(" ,.")),
            )
    for pattern in (_POSTCODE_ZH, _ZIP):
        for match in pattern.finditer(text):
            yield match.span("code")
