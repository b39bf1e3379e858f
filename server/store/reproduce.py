"""A stored score, computed again from what its sources said, without the content."""

from __future__ import annotations

from collections.abc import Iterator

from fusion.pool import Fused, FusionPool
from modalities.reading import score_of
from server.store.records import OtherRevisionError, StoredConversation
from server.store.rows import single
from server.strategy.advise import Advisor
from server.strategy.book import Book


def reproduce(stored: StoredConversation, pool: FusionPool) -> list[Fused | None]:
    """Each moment's answer, None where it was not scored.

    Distributions are those that were answered to the bit; contributions and shares are in the
    API's precision, float32. Raises OtherRevisionError where `pool` is not the one that answered.
    """
    revision = stored.versions.get("fusion", "")
    if revision != pool.revision:
        raise OtherRevisionError(
            f"it was scored by fusion {revision or 'of unknown revision'}, not {pool.revision}",
            "install the weights of that revision",
        )
    readings = [moment.readings for moment in stored.moments if moment.readings]
    answers = iter(pool.infer(readings) if readings else [])
    return [next(answers) if moment.readings else None for moment in stored.moments]


def differences(stored: StoredConversation, pool: FusionPool) -> Iterator[str]:
    """Where what is stored is not what comes out; raises as `reproduce`."""
    for moment, fused in zip(stored.moments, reproduce(stored, pool), strict=True):
        score = None if fused is None else float(score_of(fused.log_sentiment))
        if score != moment.score:
            yield f"moment {moment.number}: score {score}, stored {moment.score}"
        for share in fused.sources if fused else ():
            for name, now, then in (
                ("contribution", share.contribution, moment.contributions[share.source]),
                ("share", share.share, moment.shares[share.source]),
            ):
                if single(now) != then:
                    yield f"moment {moment.number}: {share.source} {name} {now}, stored {then}"


def advice_differences(stored: StoredConversation, book: Book) -> Iterator[str]:
    """Where `book`, which gave it, advises otherwise from the facts that were kept."""
    advisor = Advisor(book)
    for moment in stored.moments:
        advice = advisor.advise(moment.number, moment.facts, moment.advice)
        if advice != moment.advice:
            rules, stored_rules = ([one.rule for one in some] for some in (advice, moment.advice))
            yield f"moment {moment.number}: advice {rules}, stored {stored_rules}"
