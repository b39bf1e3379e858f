"""Values of personal data with valid checksums, and look-alikes that are nobody's."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import phonenumbers
from stdnum import luhn
from stdnum.cn import ric

Make = Callable[[random.Random], str]

_MOBILE = (
    "130", "135", "138", "139", "150", "158", "159", "177", "180", "186", "187", "188", "189",
    "198", "199",
)  # fmt: skip
_LANDLINE = ["010", "021", "020", "028", "0755", "0571"]
_US_AREA = ["212", "415", "617", "305", "702"]
_COUNTRIES = (("65", 8, "89"), ("852", 8, "569"), ("61", 9, "4"), ("91", 10, "789"))
_COUNTIES = (
    "110105", "310115", "440305", "330106", "510104", "320102", "420106", "610113", "350203",
    "370202", "120101",
)  # fmt: skip
_CARDS = (
    ("622202", 19), ("621700", 19), ("6225", 16), ("6228", 19), ("4", 16), ("4", 16), ("52", 16),
    ("55", 16), ("37", 15), ("3530", 16), ("6011", 16),
)  # fmt: skip
_NAMES = (
    "li.wei", "zhangsan", "john.smith", "maria_g", "amy98", "k.obrien", "wang-fang", "support.me",
)  # fmt: skip
_HOSTS = (
    "qq.com", "163.com", "gmail.com", "outlook.com", "mail.company.co.uk", "sina.com.cn", "acme.io",
)  # fmt: skip
_AREAS = (
    "广东省深圳市南山区", "北京市海淀区", "上海市浦东新区", "浙江省杭州市西湖区", "成都市武侯区",
    "江苏省苏州市工业园区", "重庆市渝北区", "湖北省武汉市洪山区", "西安市雁塔区", "朝阳区", "",
)  # fmt: skip
_STREETS = (
    "科技园路", "中山北路", "人民大道", "长安街", "文三路",
    "建国门外大街", "天府大道", "解放西路", "学院南路",
)  # fmt: skip
_ESTATES = ["阳光小区", "翠湖花园", "万科城", "绿地公寓", "金色家园"]
_STREETS_EN = (
    "Baker Street", "Maple Avenue", "Old Mill Road", "Sunset Blvd", "King's Lane", "Elm St",
    "W 42nd Street", "Park Drive", "Station Rd", "Queen Elizabeth Way",
)  # fmt: skip
_ENGLISH = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def _number(draw: random.Random, n_digits: int, first: str = "") -> str:
    return first + "".join(draw.choices("0123456789", k=n_digits - len(first)))


def _wide(text: str) -> str:
    """Full-width."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _said(draw: random.Random, digits: str) -> str:
    """As a Chinese transcript has it."""
    characters = f"零{draw.choice('一幺')}二三四五六七八九"
    return "".join(characters[int(digit)] for digit in digits)


def _spelt(draw: random.Random, digits: str) -> str:
    """As an English transcript has it."""
    words = [draw.choice(("zero", "oh")), *_ENGLISH[1:]]
    return " ".join(words[int(digit)] for digit in digits)


def _valid_phone(draw: random.Random, region: str, make: Make) -> str:
    while True:
        number = make(draw)
        if phonenumbers.is_valid_number(phonenumbers.parse(number, region)):
            return number


def phone_zh(draw: random.Random) -> str:
    if draw.random() < 0.2:
        area = draw.choice(_LANDLINE)
        number = _valid_phone(draw, "CN", lambda d: area + _number(d, 8, d.choice("2568")))
        local = number[len(area) :]
        return draw.choice((f"{area}-{local}", f"({area}){local}", f"{area} {local}"))
    n = _valid_phone(draw, "CN", lambda d: _number(d, 11, d.choice(_MOBILE)))
    parts = (n[:3], n[3:7], n[7:])
    return draw.choice(
        (
            n,
            n,
            n,
            n,
            " ".join(parts),
            "-".join(parts),
            f"+86 {n}",
            f"+86-{'-'.join(parts)}",
            f"86{n}",
            _wide(n),
            " ".join(n),
            _said(draw, n),
            "，".join(_said(draw, part) for part in parts),
        )
    )


def phone_en(draw: random.Random) -> str:
    country = draw.choice(("US", "US", "GB", "GB", "other"))
    if country == "US":
        n = _valid_phone(draw, "US", lambda d: _number(d, 10, d.choice(_US_AREA)))
        a, b, c = n[:3], n[3:6], n[6:]
        return draw.choice(
            (
                f"({a}) {b}-{c}",
                f"{a}-{b}-{c}",
                f"{a}.{b}.{c}",
                f"+1 {a} {b} {c}",
                f"+1{n}",
                f"1-{a}-{b}-{c}",
            )
        )
    if country == "GB":
        n = _valid_phone(draw, "GB", lambda d: _number(d, 11, "07" + d.choice("45789")))
        return draw.choice(
            (
                n,
                f"{n[:5]} {n[5:]}",
                f"{n[:5]} {n[5:8]} {n[8:]}",
                f"+44{n[1:]}",
                f"+44 {n[1:5]} {n[5:]}",
                _spelt(draw, n),
            )
        )
    code, n_digits, heads = draw.choice(_COUNTRIES)
    n = _valid_phone(draw, "CN", lambda d: f"+{code}{_number(d, n_digits, d.choice(heads))}")
    return draw.choice((n, f"+{code} {n[len(code) + 1 :]}"))


def id_card(draw: random.Random) -> str:
    born = f"{draw.randint(1950, 2010)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
    n = _number(draw, 17, draw.choice(_COUNTIES) + born)
    n += ric.calc_check_digit(n + "0")
    parts = (n[:6], n[6:14], n[14:])
    forms = (n, n, n, n.lower(), " ".join(parts), "-".join(parts), _wide(n))
    return draw.choice(forms if n[-1] == "X" else (*forms, _said(draw, n)))


def card(draw: random.Random) -> str:
    first, n_digits = draw.choice(_CARDS)
    n = _number(draw, n_digits - 1, first)
    n += luhn.calc_check_digit(n)
    parts = (n[:4], n[4:10], n[10:]) if n_digits == 15 else re.findall(r"\d{1,4}", n)
    return draw.choice((n, n, " ".join(parts), "-".join(parts), _wide(n), _said(draw, n)))


def email(draw: random.Random) -> str:
    name = draw.choice(_NAMES)
    name = draw.choice((name, name, _number(draw, 9, name + "0")[-9:], f"{name}+shop"))
    plain = f"{name.strip('.-_+')}@{draw.choice(_HOSTS)}"
    return draw.choice(
        (plain, plain, plain, plain.upper(), plain.replace("@", "＠"), plain.replace("@", " @ "))
    )


def email_said(draw: random.Random) -> str:
    name = draw.choice(("john dot smith", "maria", "amy98", "lee dot chan"))
    return f"{name} at {draw.choice(('gmail', 'outlook', 'yahoo'))} dot com"


def address_zh(draw: random.Random) -> str:
    n = draw.randint
    if draw.random() < 0.2:
        building = f"{n(1, 40)}栋{n(1, 5)}单元{n(101, 1902)}{draw.choice(('', '室'))}"
        return draw.choice(_AREAS) + draw.choice(_ESTATES) + building
    inside = draw.choice(
        (
            "",
            f"{n(1, 30)}栋{n(101, 2805)}室",
            f"{n(1, 20)}号楼{n(1, 6)}单元{n(101, 1204)}",
            f"{n(2, 30)}楼",
            f"翠湖花园{n(1, 9)}幢{n(101, 909)}室",
        )
    )
    return f"{draw.choice(_AREAS)}{draw.choice(_STREETS)}{n(1, 999)}号{inside}"


def address_en(draw: random.Random) -> str:
    start = f"{draw.randint(1, 9999)} {draw.choice(_STREETS_EN)}"
    return draw.choice(
        (
            start,
            start.lower(),
            f"{start}, Apt {draw.randint(1, 99)}",
            f"Flat {draw.randint(1, 40)}, {start}",
            f"{start}, London NW1 6XE",
            f"{start}, Manchester M1 2AB",
            f"{start}, Springfield, IL {_number(draw, 5, '6')}",
            f"{start}, Suite {draw.randint(100, 900)}, Boston, MA {_number(draw, 5, '021')}",
        )
    )


def order_zh(draw: random.Random) -> str:
    return draw.choice(
        (
            _number(draw, 18, "20240"),
            _number(draw, 19, "17"),
            _number(draw, 12, "88"),
            _number(draw, 15, "43"),
            _wide(_number(draw, 12, "7")),
            _number(draw, 14, "JD0"),
            _number(draw, 15, "SF1"),
            _number(draw, 15, "YT7"),
            _number(draw, 13, "E2"),
        )
    )


def order_en(draw: random.Random) -> str:
    amazon = f"{_number(draw, 3, '1')}-{_number(draw, 7)}-{_number(draw, 7)}"
    return draw.choice(
        (
            _number(draw, 18, "1ZA"),
            _number(draw, 18, "1ZW"),
            amazon,
            _number(draw, 10, "4"),
            _number(draw, 8, "9"),
            _number(draw, 11, "RR") + "CN",
            _number(draw, 10, "AB-"),
            _number(draw, 15, "TBA"),
            f"{_number(draw, 4)}-{_number(draw, 6)}",
            _number(draw, 10, "W"),
        )
    )


def bad_id(draw: random.Random) -> str:
    """With a wrong last digit, and no card number by chance."""
    start = draw.choice(("110105", "440305")) + str(draw.randint(1950, 2010))
    while True:
        n = _number(draw, 18, start)
        if n[-1] != ric.calc_check_digit(n) and not luhn.is_valid(n):
            return n


def bad_card(draw: random.Random) -> str:
    """With a wrong last digit."""
    n = _number(draw, 15, draw.choice(("4", "52", "6225")))
    return f"{n}{(int(luhn.calc_check_digit(n)) + draw.randint(1, 9)) % 10}"


def price(draw: random.Random) -> str:
    n = draw.randint(5, 99999)
    return draw.choice(
        (f"{n}元", f"¥{n:,}.00", f"{n}块", f"${n:,}.99", f"£{n}", f"{n} dollars", f"{n / 10:.1f}元")
    )


def date(draw: random.Random) -> str:
    y, m, d = draw.randint(2019, 2026), draw.randint(1, 12), draw.randint(1, 28)
    return draw.choice(
        (
            f"{y}年{m}月{d}日",
            f"{y}-{m:02}-{d:02}",
            f"{d:02}/{m:02}/{y}",
            f"{y}{m:02}{d:02}",
            f"{y}.{m}.{d}",
            f"{m}月{d}号",
        )
    )


def clock(draw: random.Random) -> str:
    h, m, s = draw.randint(0, 23), draw.randint(0, 59), draw.randint(0, 59)
    return draw.choice(
        (f"{h}:{m:02}", f"{h:02}:{m:02}:{s:02}", f"{h}点{m}分", f"{h % 12 + 1}:{m:02} pm")
    )


def model(draw: random.Random) -> str:
    return draw.choice(
        (
            f"XJ-{_number(draw, 6, '9')}",
            "iPhone 15 Pro 256GB",
            "RTX4090",
            "WH-1000XM5",
            f"KFR-35GW/{_number(draw, 5)}",
            f"SM-G{_number(draw, 4)}",
            f"v{draw.randint(1, 20)}.{draw.randint(0, 20)}.{draw.randint(0, 9)}",
        )
    )


def number(draw: random.Random) -> str:
    """Amounts, percentages, barcodes, years, network addresses, ISBNs, decimals."""
    n = draw.randint
    return draw.choice(
        (
            _number(draw, 5, "3"),
            f"{n(1, 99)}%",
            _number(draw, 13, "690"),
            str(n(1990, 2026)),
            f"{n(1, 9)},{_number(draw, 3)},{_number(draw, 3)}",
            f"192.168.1.{n(1, 254)}",
            f"978-7-{_number(draw, 3)}-{_number(draw, 5)}-{n(0, 9)}",
            f"{n(1, 9)}.{_number(draw, 6)}",
        )
    )


def count(draw: random.Random) -> str:
    return str(draw.randint(2, 300))


MAKERS: dict[str, Make] = {
    "PHONE_zh": phone_zh,
    "PHONE_en": phone_en,
    "ID": id_card,
    "CARD": card,
    "EMAIL": email,
    "EMAIL_said": email_said,
    "ADDRESS_zh": address_zh,
    "ADDRESS_en": address_en,
    "ORDER_zh": order_zh,
    "ORDER_en": order_en,
    "bad_id": bad_id,
    "bad_card": bad_card,
    "price": price,
    "date": date,
    "clock": clock,
    "model": model,
    "number": number,
    "count": count,
}
