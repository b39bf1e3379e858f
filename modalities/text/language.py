"""Which languages are read, and whether a text is of another one."""

from __future__ import annotations

from functools import cache
from typing import Any

# Chinese in both scripts, Cantonese included.
LANGUAGES = ("en", "zh", "de", "fr", "es", "pt", "it", "ja", "ko", "ru", "ar", "hi", "th")
SURE = 0.9  # of the identifier, before a text is taken to be of another language
LEAST_LETTERS = 12  # below them it guesses
SAME = {"yue": "zh", "wuu": "zh"}


def other_language(text: str) -> str | None:
    """The ISO 639 code of the language of `text` where it is surely none of LANGUAGES."""
    if sum(map(str.isalpha, text)) < LEAST_LETTERS:
        return None
    language, probability = _identifier().classify(text)
    known = SAME.get(language, language) in LANGUAGES
    return None if known or probability < SURE else str(language)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # it takes a moment to load

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
