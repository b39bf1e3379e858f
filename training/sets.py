"""The sets that weights are trained on: their terms, and how a text set is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """What may be done with a set, as its source states it."""

    licence: str
    commercial: bool  # whether weights made of it may be sold


@dataclass(frozen=True)
class Drawn:
    """How many rows of a text set a round of each stage draws (`training.text.STAGES`)."""

    general: int
    customers: int
    everything: int
    longer: int
    broader: int


TERMS: Mapping[str, Terms] = {
    "written": Terms("Apache-2.0, written for this project", True),
    "written_turns": Terms("Apache-2.0, written for this project", True),
    "goemotions": Terms("Apache-2.0", True),
    "cped": Terms("Apache-2.0", True),
    "brighter": Terms("CC BY 4.0", True),
    "wisesight_th": Terms("CC0-1.0", True),
    "kote_ko": Terms("MIT", True),
    "weibo_moods": Terms("MIT, of the repository; the posts' own terms are not stated", False),
    "ewect": Terms("not stated", False),
    "shopping": Terms("not stated", False),
    "waimai": Terms("not stated", False),
    "airline": Terms("not stated", False),
    "umsab": Terms("research", False),
    "meld": Terms("GPL-3.0", False),
    "xdailydialog_en": Terms("non-commercial", False),
    "xdailydialog_zh": Terms("non-commercial", False),
    "empathetic_situations": Terms("non-commercial", False),
    "stackoverflow_emotions": Terms("to be cited", False),
    "casia": Terms("research", False),
    "ravdess": Terms("CC BY-NC-SA 4.0", False),
    "nemo": Terms("CC BY-NC-SA 4.0", False),
    "urdu": Terms("not stated", False),
    "koemo": Terms("CC BY-NC-SA 4.0, research", False),
    "emospeech": Terms("CC BY-NC-SA 4.0", False),
    "turev": Terms("CC BY-NC-ND 4.0", False),
    "fer": Terms("not stated", False),
    "stickers": Terms("third parties' pictures", False),
}

# Small sets come again and again, large ones in part; none drowns another.
DRAWN: Mapping[str, Drawn] = {
    "goemotions": Drawn(3600, 1200, 1500, 5000, 1500),
    "cped": Drawn(1600, 1000, 500, 800, 240),
    "brighter": Drawn(3000, 900, 500, 700, 210),
    "wisesight_th": Drawn(500, 200, 100, 150, 40),
    "kote_ko": Drawn(500, 300, 150, 200, 60),
    "written": Drawn(0, 2200, 1200, 1700, 9000),
    "written_turns": Drawn(0, 1600, 800, 1200, 800),
    "weibo_moods": Drawn(0, 0, 200, 200, 60),
    "ewect": Drawn(0, 0, 4200, 5600, 1680),
    "shopping": Drawn(0, 0, 1800, 4000, 1200),
    "waimai": Drawn(0, 0, 600, 1700, 510),
    "airline": Drawn(0, 0, 1300, 2000, 600),
    "umsab": Drawn(0, 0, 1700, 2500, 750),
    "meld": Drawn(0, 0, 1800, 2500, 750),
    "xdailydialog_en": Drawn(0, 0, 400, 500, 150),
    "xdailydialog_zh": Drawn(0, 0, 400, 500, 150),
    "empathetic_situations": Drawn(0, 0, 150, 150, 40),
    "stackoverflow_emotions": Drawn(0, 0, 250, 300, 90),
}
