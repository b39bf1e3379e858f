"""AnalyzeConversation: a chat, a call in turns and a screenshot go the same way."""

from __future__ import annotations

import grpc
import pytest
import server_media as media
from emotion.v1.conversation_pb2 import Message
from emotion.v1.emotion_service_pb2 import AnalyzeConversationRequest
from emotion.v1.types_pb2 import AGENT, CUSTOMER, ROLE_UNSPECIFIED, Audio, Image, Text
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from server_process import Server

TEXTS = ("你好，我要退货", "太差了，气死我了", "还要等多久？", "好的，谢谢", "非常满意，辛苦了")


def said(text: str, role: int = CUSTOMER, at_s: int = 0) -> Message:
    return Message(role=role, offset=Duration(seconds=at_s), text=Text(content=text))


def test_a_chat(server: Server) -> None:
    messages = []
    for index, text in enumerate(TEXTS):
        messages += [
            said(text, CUSTOMER, 20 * index),
            said("您好，请稍等", AGENT, 20 * index + 10),
        ]
    response = server.emotion.AnalyzeConversation(AnalyzeConversationRequest(messages=messages))
    assert [m.index for m in response.messages] == list(range(10))
    assert [m.role for m in response.messages] == [CUSTOMER, AGENT] * 5
    assert [m.offset.seconds for m in response.messages] == [10 * i for i in range(10)]
    scores = [m.estimate.score for m in response.messages]
    mine = scores[::2]
    assert len(set(mine)) == 5
    customer = response.customer
    assert customer.message_count == 5
    assert customer.score == pytest.approx(sum(mine) / 5, abs=1e-6)
    # The first and the last quarter of five messages are two each.
    assert customer.start == pytest.approx(sum(mine[:2]) / 2, abs=1e-6)
    assert customer.end == pytest.approx(sum(mine[-2:]) / 2, abs=1e-6)
    triples = [sum(mine[i : i + 3]) / 3 for i in range(3)]
    assert customer.lowest == pytest.approx(min(triples), abs=1e-6)
    assert customer.shift == pytest.approx(customer.end - customer.start, abs=1e-6)
    assert -1 <= customer.satisfaction <= 1
    assert {use.name for use in response.metadata.models} >= {"models/text", "models/satisfaction"}


def test_satisfaction_tells_a_good_end_from_a_bad_one(server: Server) -> None:
    def satisfaction(answer: str, last: str) -> float:
        messages = [said(TEXTS[1]), said(answer, AGENT), said(last)]
        request = AnalyzeConversationRequest(messages=messages)
        return server.emotion.AnalyzeConversation(request).customer.satisfaction

    good = satisfaction("您好，问题已经为您解决，感谢您的理解！", "好的，谢谢，非常满意")
    assert good > satisfaction("不清楚，您再等等吧", "一直没人处理，太差劲了") + 0.2


def test_a_call_without_a_word_has_no_satisfaction(server: Server) -> None:
    response = server.emotion.AnalyzeConversation(
        AnalyzeConversationRequest(
            messages=[Message(role=CUSTOMER, audio=Audio(content=media.recording()))]
        )
    )
    assert response.customer.message_count == 1
    assert not response.customer.HasField("satisfaction")


def test_the_first_message_is_scored_as_it_is_alone(server: Server) -> None:
    alone = server.emotion.AnalyzeEmotion(media.request(TEXTS[1]))
    response = server.emotion.AnalyzeConversation(
        AnalyzeConversationRequest(messages=[said(TEXTS[1]), said(TEXTS[0])])
    )
    assert response.messages[0].estimate.score == pytest.approx(alone.fused.score, abs=1e-5)


def test_one_message_has_no_shift(server: Server) -> None:
    response = server.emotion.AnalyzeConversation(
        AnalyzeConversationRequest(messages=[said(TEXTS[0]), said("您好", AGENT)])
    )
    assert response.customer.message_count == 1
    assert not response.customer.HasField("shift")


def test_without_the_customer_there_is_no_summary(server: Server) -> None:
    response = server.emotion.AnalyzeConversation(
        AnalyzeConversationRequest(messages=[said("您好", AGENT)])
    )
    assert response.messages[0].estimate.HasField("score")
    assert not response.HasField("customer")


def test_turns_of_a_call_and_a_broken_one(server: Server) -> None:
    response = server.emotion.AnalyzeConversation(
        AnalyzeConversationRequest(
            messages=[
                Message(role=CUSTOMER, audio=Audio(content=media.recording())),
                Message(role=CUSTOMER, audio=Audio(content=b"no sound")),
                said(TEXTS[1]),
            ]
        )
    )
    first, broken, last = response.messages
    assert first.transcript.segments
    assert broken.modalities[1].state == 3  # REJECTED
    assert broken.estimate.abstained
    assert not broken.estimate.HasField("score")
    assert response.customer.message_count == 2
    assert response.customer.start == pytest.approx(first.estimate.score, abs=1e-6)
    assert response.customer.end == pytest.approx(last.estimate.score, abs=1e-6)


def test_a_screenshot_is_a_conversation(server: Server) -> None:
    response = server.emotion.AnalyzeConversation(
        AnalyzeConversationRequest(
            messages=[Message(role=ROLE_UNSPECIFIED, image=Image(content=media.screenshot()))]
        )
    )
    (message,) = response.messages
    mine = [m.estimate.score for m in message.messages if m.role == CUSTOMER]
    assert len(mine) > 1
    assert response.customer.message_count == len(mine)
    assert response.customer.score == pytest.approx(sum(mine) / len(mine), abs=1e-6)
    assert response.customer.HasField("satisfaction")


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "messages"),
        ([said("好")] * 501, "messages"),
        ([said("好"), Message(role=CUSTOMER)], "messages[1]"),
        ([said("好"), said(" ")], "messages[1].text.content"),
        ([said("好", ROLE_UNSPECIFIED)], "messages[0].role"),
        ([said("好", CUSTOMER, -1)], "messages[0].offset"),
        ([Message(role=CUSTOMER, audio=Audio(content=b"no"))], "messages[0].audio.content"),
        ([Message(image=Image(content=b"no"))], "messages[0].image.content"),
        ([said("好"), Message(image=Image(content=media.bomb()))], "messages[1].image.content"),
        ([Message(image=Image(content=b"no"))] * 9, "messages"),
    ],
)
def test_bad_conversations_are_refused_with_the_field(
    server: Server, messages: list[Message], field: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        server.emotion.AnalyzeConversation(AnalyzeConversationRequest(messages=messages))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(refused.value)
    assert status is not None
    bad = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad)
    assert [violation.field for violation in bad.field_violations] == [field]


def test_the_audio_limit_is_for_all_turns_together(server: Server) -> None:
    turn = Message(role=CUSTOMER, audio=Audio(content=media.long_silence(400)))
    with pytest.raises(grpc.RpcError) as refused:
        server.emotion.AnalyzeConversation(AnalyzeConversationRequest(messages=[turn, turn]))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
