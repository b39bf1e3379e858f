"""From feelings to advice: what is known of a conversation, the rule book, what it advises."""

from pathlib import Path

DEFAULT_BOOK = Path(__file__).parent / "rules.yaml"
