"""Words are read with the two turns before them; those of a language that is not read say so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import server_media as media
from drawn_chat import LEFT, RIGHT, chat, page
from emotion.v1.conversation_pb2 import Message
from emotion.v1.emotion_service_pb2 import (
    AnalyzeConversationRequest,
    AnalyzeConversationResponse,
    AnalyzeEmotionResponse,
)
from emotion.v1.types_pb2 import (
    AGENT,
    CUSTOMER,
    ROLE_UNSPECIFIED,
    SYSTEM,
    Audio,
    Estimate,
    Image,
    ModalityResult,
    Role,
    Text,
)
from scripted_voice import recording, speaking
from server_process import in_process
from words_read import ANSWERED, ASKED, DENIED, VIETNAMESE, assert_read, read, said

from modalities.reading import SENTIMENTS
from modalities.text.language import LANGUAGES
from modalities.text.prepare import Turn
from server.analysis import Analysis, BytesPart, Call, Content, TextPart
from server.analysis import Role as DomainRole
from server.models import Models
from server.pipeline import Pipeline
from server.runner import together
from server.turns import Place

DUTCH = ("Ik wacht al drie weken op mijn pakket", "Niemand beantwoordt mijn berichten meer")
RUNES = "ᚠᛇᚻ᛫ᛒᛦᚦ᛫ᚠᚱᚩᚠᚢᚱ᛫ᚠᛁᚱᚪ᛫ᚷᛖᚻᚹᛦᛚᚳᚢᛗ"


def text(content: str, role: int = CUSTOMER) -> Message:
    return Message(role=role, text=Text(content=content))


def audio(content: bytes, role: int = CUSTOMER) -> Message:
    return Message(role=role, audio=Audio(content=content))


def image(content: bytes) -> Message:
    return Message(role=ROLE_UNSPECIFIED, image=Image(content=content))


def answer(loaded: Models, *messages: Message) -> AnalyzeConversationResponse:
    request = AnalyzeConversationRequest(messages=messages)
    return in_process(loaded, lambda pipeline: pipeline.analyze_conversation(request))


def analyzed(loaded: Models, request: object) -> AnalyzeEmotionResponse:
    return in_process(loaded, lambda pipeline: pipeline.analyze(request))


def distribution(estimate: Estimate) -> list[float]:
    sentiment = [getattr(estimate.sentiment, name) for name in SENTIMENTS]
    return [*sentiment, *(emotion.probability for emotion in estimate.emotions)]


def assert_pooled(
    loaded: Models, estimate: Estimate, content: str, before: Sequence[Turn] = ()
) -> None:
    """As `assert_read` of a picture's line, whose one reading goes through the pool."""
    (fused,) = loaded.fusion.infer([[read(loaded, content, before)]])
    assert distribution(estimate) == pytest.approx(said(fused), abs=1e-4)


def states(results: Sequence[ModalityResult]) -> list[str]:
    return [ModalityResult.State.Name(result.state) for result in results]


def test_a_message_is_read_with_the_two_turns_before_it(loaded: Models) -> None:
    response = answer(
        loaded,
        text("Hello"),
        text(ASKED),
        text("Anna has joined the chat.", SYSTEM),
        text(ANSWERED, AGENT),
        audio(b"no sound"),
        text(VIETNAMESE),
        text(DENIED),
    )
    first, _, notice, agent, _, unread, last = (
        message.modalities[0].estimate for message in response.messages
    )
    assert_read(loaded, distribution(first), "Hello")
    assert_read(loaded, distribution(notice), "Anna has joined the chat.")  # nobody's turn
    assert_read(loaded, distribution(agent), ANSWERED, [Turn(False, "Hello"), Turn(False, ASKED)])
    assert not unread.HasField("score")
    assert_read(loaded, distribution(last), DENIED, [Turn(True, ASKED), Turn(False, ANSWERED)])


def test_one_text_has_nothing_before_it(loaded: Models) -> None:
    response = analyzed(loaded, media.request(DENIED))
    assert_read(loaded, distribution(response.modalities[0].estimate), DENIED)


def test_what_is_said_in_a_recording_is_one_turn(loaded: Models) -> None:
    script = {1: ASKED, 4: ANSWERED, 7: DENIED, 10: "So where is it?"}
    contents = [
        Content(audio=BytesPart("a", recording(1))),
        Content(audio=BytesPart("b", recording(4)), sender=DomainRole.AGENT),
        Content(audio=BytesPart("c", recording(7, 10))),
        Content(TextPart("d", "Thanks for nothing")),
    ]

    async def work(pipeline: Pipeline) -> list[Analysis]:
        place, reading = None, []
        for content in contents:
            place = Place(place, content.modalities)
            reading.append(pipeline.analyze_content(content, Call("test"), place))
        return await together(reading)

    *_, recorded, written = in_process(speaking(loaded, script), work)
    transcript = recorded.outcomes[1].transcript
    assert transcript is not None
    assert [speech.text for speech in transcript.segments] == [DENIED, "So where is it?"]
    before = [Turn(True, ASKED), Turn(False, ANSWERED)]
    for speech in transcript.segments:
        assert_read(loaded, said(speech.readings[-1]), speech.text, before)
    before = [Turn(False, ANSWERED), Turn(True, f"{DENIED} So where is it?")]
    assert_read(loaded, said(written.readings[0]), "Thanks for nothing", before)


def test_a_screenshot_is_read_line_by_line_with_those_before(loaded: Models) -> None:
    response = answer(loaded, text(ASKED), image(media.screenshot()), text(DENIED))
    shown = [line for line in response.messages[1].messages if line.HasField("estimate")]
    assert len(shown) == 6 and len({line.role for line in shown}) == 2
    turns = [(CUSTOMER, ASKED), *((line.role, line.text) for line in shown)]
    for number, line in enumerate(shown, 1):
        before = [Turn(role == line.role, words) for role, words in turns[:number][-2:]]
        assert_pooled(loaded, line.estimate, line.text, before)
    before = [Turn(role == CUSTOMER, words) for role, words in turns[-2:]]
    assert_read(loaded, distribution(response.messages[2].modalities[0].estimate), DENIED, before)


def test_words_that_no_side_says_are_no_turn(loaded: Models) -> None:
    """A picture that is no chat: a page of text."""
    notice = page("Out of order, please use the other lift")
    response = answer(loaded, text(ASKED), image(notice), text(DENIED))
    (line,) = [one for one in response.messages[1].messages if one.HasField("estimate")]
    assert_pooled(loaded, line.estimate, line.text)
    last = response.messages[2].modalities[0].estimate
    assert_read(loaded, distribution(last), DENIED, [Turn(True, ASKED)])


def test_a_language_that_is_not_read_is_told_and_the_rest_is_scored(loaded: Models) -> None:
    for content, why in ((VIETNAMESE, '"vi"'), (RUNES, "script")):
        alone = analyzed(loaded, media.request(content))
        assert media.states(alone) == ["UNAVAILABLE", "ABSENT", "ABSENT"]
        assert why in alone.modalities[0].reason
        assert alone.modalities[0].remedy.endswith(", ".join(LANGUAGES))
        assert alone.fused.abstained and not alone.sources
    both = analyzed(loaded, media.request(VIETNAMESE, None, media.encode(media.portrait())))
    assert media.states(both) == ["UNAVAILABLE", "ABSENT", "USED"]
    assert both.fused.HasField("score") and len(both.sources) == 1


def test_one_such_message_fails_none_of_a_conversation(loaded: Models) -> None:
    response = answer(loaded, text(ASKED), text(VIETNAMESE), text(DENIED))
    assert [states(message.modalities)[0] for message in response.messages] == [
        "USED", "UNAVAILABLE", "USED",
    ]  # fmt: skip
    assert response.messages[1].estimate.abstained
    assert response.customer.message_count == 2
    nothing = answer(loaded, text(VIETNAMESE))
    assert nothing.messages[0].estimate.abstained and not nothing.HasField("customer")


def test_a_transcript_stays_where_its_words_are_not_read(loaded: Models) -> None:
    models = speaking(loaded, {1: VIETNAMESE, 4: DENIED})
    response = analyzed(models, media.request(None, recording(1, 4)))
    transcript = response.transcript
    assert transcript.state == ModalityResult.USED
    assert transcript.text == f"{VIETNAMESE} {DENIED}"
    assert transcript.reason.startswith("the words of 1 of 2 stretches of speech are not scored: ")
    assert '"vi"' in transcript.reason and transcript.remedy.endswith(LANGUAGES[-1])
    assert len(response.sources) == 2
    alone = analyzed(models, media.request(None, recording(1)))
    assert alone.transcript.text == VIETNAMESE and '"vi"' in alone.transcript.reason
    assert media.states(alone)[1] == "USED" and len(alone.sources) == 1


def test_a_message_in_a_picture_is_shown_where_it_is_not_read(loaded: Models) -> None:
    mixed = chat((RIGHT, DUTCH[0]), (LEFT, "We are sorry to hear that"), (RIGHT, DENIED))
    response = analyzed(loaded, media.request(None, None, mixed))
    assert media.states(response)[2] == "USED"
    unread, answered, denied = response.messages
    assert unread.text and unread.role == Role.CUSTOMER and not unread.HasField("estimate")
    reason = response.modalities[2].reason
    assert 'the words of 1 of 3 messages are not scored: its language ("nl")' in reason
    before = [Turn(False, answered.text)]
    assert_pooled(loaded, denied.estimate, denied.text, before)

    nothing = chat((LEFT, "We are sorry to hear that"), (RIGHT, DUTCH[0]), (RIGHT, DUTCH[1]))
    response = analyzed(loaded, media.request(None, None, nothing))
    assert media.states(response)[2] == "UNAVAILABLE"
    assert response.modalities[2].remedy.endswith(", ".join(LANGUAGES))
    assert response.fused.abstained
