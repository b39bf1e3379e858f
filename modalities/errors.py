"""Errors that every room may raise; each carries what a caller needs to mend it.

EmotionError
├── InputError        the caller's content is wrong; names the field
│   └── LimitError    ... because it is over a stated limit
├── UnavailableError  a model or a library is not there; names the remedy
│   └── LanguageError ... or a text is in a language or of signs that none reads
└── OverloadedError   no room now; says when to come back
"""

from __future__ import annotations


class EmotionError(Exception):
    """Base of all errors this project raises on purpose. Messages never hold content."""


class InputError(EmotionError):
    """The content of `field` cannot be used.

    `field` is a path in the request, such as ``audio.content`` or ``images[1].content``;
    empty where the raiser cannot know it (the server then fills it in).
    """

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


class LimitError(InputError):
    """The content of `field` is over a limit: the whole request is refused, not only the field."""


class UnavailableError(EmotionError):
    """A part that would be needed is not there; `remedy` says how to get it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class LanguageError(UnavailableError):
    """A text is in `language` (ISO 639), which is not read; None: in a script or of signs that are
    not."""

    def __init__(self, reason: str, remedy: str, language: str | None = None) -> None:
        super().__init__(reason, remedy)
        self.language = language


class OverloadedError(EmotionError):
    """No room in the queue, or the answer would come after the caller's deadline."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
