"""FeedbackService: handlers as `server.rpc` takes them."""

from __future__ import annotations

import asyncio

from emotion.v1.feedback_service_pb2 import (
    DESCRIPTOR,
    CreateFeedbackRequest,
    Feedback,
    ListFeedbackRequest,
    ListFeedbackResponse,
    ListReviewItemsRequest,
    ListReviewItemsResponse,
    ReviewItem,
)

from modalities.errors import InputError, LimitError
from server.checks import page_size_of, request_id_of
from server.errors import NotFoundError, StateError
from server.feedback import review
from server.feedback.labels import Label, Labels
from server.privacy.redact import redact
from server.store.store import Store

FEEDBACK = DESCRIPTOR.services_by_name["FeedbackService"]


class FeedbackHandlers:
    """`store` is None where there is none; `keep_content` as it was opened."""

    def __init__(self, store: Store | None, *, keep_content: bool, max_characters: int) -> None:
        self._store, self._keep_content = store, keep_content
        self._max_characters = max_characters

    async def create_feedback(self, request: CreateFeedbackRequest, _: float | None) -> Feedback:
        """Raises InputError, NotFoundError, StateError, UnavailableError."""
        store = self._known()
        given = request.feedback
        request_id = request_id_of(request)
        if len(given.content) > self._max_characters:
            raise LimitError(f"more than {self._max_characters} characters", "feedback.content")
        if not given.analysis_request_id:
            raise InputError("the analysis that it speaks of is needed", "feedback")
        kind = given.WhichOneof("label") or ""
        label = Label(
            request_id,
            given.analysis_request_id,
            given.number,
            kind,  # type: ignore[arg-type]  # it is checked there
            str(getattr(given, kind, "")),
            redact(given.content).text if self._keep_content and given.content else None,
        )
        return _message(await asyncio.to_thread(_kept, store, label))

    async def list_feedback(
        self, request: ListFeedbackRequest, _: float | None
    ) -> ListFeedbackResponse:
        """A page token is the number of the last label of the page before."""
        n = page_size_of(request.page_size)
        before = _token(request.page_token)
        labels = Labels(self._known().engine)
        found = await asyncio.to_thread(labels.page, before, n + 1)
        return ListFeedbackResponse(
            feedback=[_message(label) for label in found[:n]],
            next_page_token=str(found[n - 1].id) if len(found) > n else "",
        )

    async def list_review_items(
        self, request: ListReviewItemsRequest, _: float | None
    ) -> ListReviewItemsResponse:
        """A page token says where in the queue, as it then is, to go on: at most a page's worth of
        items moves up meanwhile where others are labelled."""
        n, start = page_size_of(request.page_size), _token(request.page_token) or 0
        engine = self._known().engine
        items = await asyncio.to_thread(review.queue, engine)
        page = items[start : start + n]
        texts = await asyncio.to_thread(review.texts, engine, page)
        response = ListReviewItemsResponse(
            next_page_token=str(start + n) if start + n < len(items) else ""
        )
        for item, text in zip(page, texts, strict=True):
            made = ReviewItem(
                analysis_request_id=item.analysis,
                number=item.number,
                text=text,
                score=item.score,
                uncertainty=item.uncertainty,
                disagreement=item.disagreement,
                priority=item.priority,
            )
            made.start_time.FromDatetime(item.started_at)
            response.items.append(made)
        return response

    def _known(self) -> Store:
        if self._store is None:
            raise StateError("this server keeps no conversations", "start it with a store")
        return self._store


def _kept(store: Store, label: Label) -> Label:
    """What was scored a moment ago may still wait to be written."""
    labels = Labels(store.engine)
    try:
        return labels.add(label)
    except NotFoundError:
        store.flush()
        return labels.add(label)


def _message(label: Label) -> Feedback:
    made = Feedback(
        name=f"feedback/{label.request_id}",
        analysis_request_id=label.analysis,
        number=label.number,
    )
    setattr(made, label.kind, float(label.value) if label.kind == "score" else label.value)
    if label.created_at is not None:
        made.create_time.FromDatetime(label.created_at)
    return made


def _token(token: str) -> int | None:
    if token and not (token.isascii() and token.isdigit() and len(token) < 18):
        raise InputError("not a token that this service gave", "page_token")
    return int(token) if token else None
