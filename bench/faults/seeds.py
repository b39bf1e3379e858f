"""Real requests of every method, from which broken ones are made; what is in them is made here."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np
from emotion.v1 import (
    alert_service_pb2,
    call_pb2,
    conversation_pb2,
    conversation_service_pb2,
    emotion_service_pb2,
    feedback_service_pb2,
    model_service_pb2,
    types_pb2,
)
from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from PIL import Image, ImageDraw

from modalities.reading import Array
from modalities.voice.prepare import decode

RATE_HZ = 16_000
START_S, SECONDS = 0.5, 1.0  # of the example
CHUNK_S = 0.1
CODECS = {"wav": "pcm_s16le", "flac": "flac", "mp3": "mp3", "ogg": "libopus", "mp4": "aac"}
PICTURES = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
TEXTS = ("我已经等了三天了，太差了！", "thank you, all is well", "😡😡")


def requests() -> Mapping[str, Sequence[Sequence[Message]]]:
    """Calls by the method's full name, each the messages that its client sends."""
    emotion, models = "emotion.v1.EmotionService", "emotion.v1.ModelService"
    feedback, alerts = "emotion.v1.FeedbackService", "emotion.v1.AlertService"
    conversations, operations = "emotion.v1.ConversationService", "google.longrunning.Operations"
    operation = "operations/20261124-000000-000000-0123abcd"
    unary: dict[str, list[Message]] = {
        f"{emotion}/AnalyzeEmotion": _analyses(),
        f"{emotion}/AnalyzeConversation": _conversations(),
        f"{emotion}/BatchAnalyzeCalls": [
            call_pb2.BatchAnalyzeCallsRequest(
                paths=["call.wav"], output="calls.parquet", channel_roles=["CUSTOMER", "AGENT"]
            )
        ],
        f"{models}/ListModels": [model_service_pb2.ListModelsRequest(page_size=2)],
        f"{models}/GetModel": [model_service_pb2.GetModelRequest(name="models/text")],
        f"{models}/GetServiceLimits": [model_service_pb2.GetServiceLimitsRequest()],
        f"{feedback}/CreateFeedback": [
            feedback_service_pb2.CreateFeedbackRequest(
                feedback={"analysis_request_id": "seed", "emotion": "angry", "content": "text"},
                request_id="0b6f7a8e-1111-4c3e-9d43-6f0f5a0a6a10",
            )
        ],
        f"{feedback}/ListFeedback": [feedback_service_pb2.ListFeedbackRequest(page_size=3)],
        f"{feedback}/ListReviewItems": [feedback_service_pb2.ListReviewItemsRequest(page_size=3)],
        f"{alerts}/ListAlerts": [alert_service_pb2.ListAlertsRequest(page_size=3)],
        f"{alerts}/StreamAlerts": [
            alert_service_pb2.StreamAlertsRequest(filter={"kinds": [1], "names": ["app"]})
        ],
        f"{conversations}/ListConversations": [
            conversation_service_pb2.ListConversationsRequest(page_size=3)
        ],
        f"{conversations}/GetConversation": [
            conversation_service_pb2.GetConversationRequest(name="conversations/seed")
        ],
        f"{conversations}/ListTrends": [conversation_service_pb2.ListTrendsRequest()],
        f"{conversations}/StreamConversations": [
            conversation_service_pb2.StreamConversationsRequest()
        ],
        f"{operations}/GetOperation": [operations_pb2.GetOperationRequest(name=operation)],
        f"{operations}/ListOperations": [operations_pb2.ListOperationsRequest(page_size=3)],
        f"{operations}/CancelOperation": [operations_pb2.CancelOperationRequest(name=operation)],
        f"{operations}/DeleteOperation": [operations_pb2.DeleteOperationRequest(name=operation)],
        f"{operations}/WaitOperation": [
            operations_pb2.WaitOperationRequest(name=operation, timeout=Duration(nanos=10_000_000))
        ],
        "grpc.health.v1.Health/Check": [health_pb2.HealthCheckRequest(service=emotion)],
        "grpc.health.v1.Health/Watch": [health_pb2.HealthCheckRequest(service=emotion)],
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=emotion),
        ],
    }
    calls = {name: [[message] for message in messages] for name, messages in unary.items()}
    return {**calls, f"{emotion}/StreamCall": _streams()}


def _analyses() -> list[Message]:
    request = emotion_service_pb2.AnalyzeEmotionRequest
    context = types_pb2.Context(
        conversation_id="c-1", customer_id="u-1", agent_id="a-1", channel="app", tags=["vip"]
    )
    made: list[Message] = [request(text={"content": text}, context=context) for text in TEXTS]
    made.append(request(text={"content": TEXTS[1]}, config={"explain": True, "words": True}))
    made += [request(audio={"content": recording(kind)}) for kind in CODECS]
    made += [request(images=[{"content": picture(kind)}]) for kind in PICTURES]
    made.append(
        request(
            text={"content": TEXTS[0]},
            audio={"content": recording("wav")},
            images=[{"content": picture("PNG")}],
        )
    )
    return made


def _conversations() -> list[Message]:
    messages = [
        conversation_pb2.Message(
            role="CUSTOMER", text={"content": TEXTS[0]}, offset=Duration(seconds=1)
        ),
        conversation_pb2.Message(
            role="AGENT", text={"content": TEXTS[1]}, offset=Duration(seconds=9)
        ),
    ]
    heard = conversation_pb2.Message(role="CUSTOMER", audio={"content": recording("ogg")})
    seen = conversation_pb2.Message(image={"content": picture("JPEG")})
    request = emotion_service_pb2.AnalyzeConversationRequest
    return [request(messages=messages), request(messages=[*messages, heard, seen])]


def _streams() -> list[list[Message]]:
    """Of each encoding a call of a second, with a message in it."""
    request = call_pb2.StreamCallRequest
    message = request(message=conversation_pb2.Message(role="CUSTOMER", text={"content": TEXTS[0]}))
    made = []
    for encoding, n_bytes in (("LINEAR16", 2), ("MULAW", 1), ("ALAW", 1)):
        sound = (_samples() * 32767).astype("<i2").tobytes()
        step = int(CHUNK_S * RATE_HZ) * n_bytes
        made.append(
            [
                request(config=_config(encoding, RATE_HZ)),
                *(request(audio=sound[at : at + step]) for at in range(0, len(sound), step)),
                message,
            ]
        )
    ogg = recording("ogg")
    parts = [ogg[at : at + 500] for at in range(0, len(ogg), 500)]
    made.append([request(config=_config("OGG_OPUS", 0)), *(request(audio=p) for p in parts)])
    packets = _packets(ogg)
    made.append([request(config=_config("OPUS", 0)), *(request(audio=p) for p in packets)])
    return made


def _config(encoding: str, rate_hz: int) -> call_pb2.StreamCallConfig:
    return call_pb2.StreamCallConfig(
        encoding=encoding,
        sample_rate_hz=rate_hz,
        channel_roles=["CUSTOMER"],
        interim_results=True,
        state_interval=Duration(seconds=1),
    )


@functools.cache
def recording(kind: str) -> bytes:
    """A little sound of the format's name in CODECS."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        rate_hz = 48_000 if kind == "ogg" else RATE_HZ
        stream = container.add_stream(CODECS[kind], rate=rate_hz, layout="mono")
        pcm = np.repeat((_samples() * 32767).astype(np.int16), rate_hz // RATE_HZ)
        frame = av.AudioFrame.from_ndarray(pcm[np.newaxis], "s16", "mono")
        frame.sample_rate = rate_hz
        for part in av.AudioResampler(stream.format, "mono", rate_hz).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


@functools.cache
def picture(kind: str) -> bytes:
    """A small picture of a format of Pillow's, with a word and a gradient."""
    image = Image.linear_gradient("L").resize((120, 64)).convert("RGB")
    ImageDraw.Draw(image).text((8, 16), "12:30 bad", fill="white", font_size=22)
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@functools.cache
def _samples() -> Array:
    """(n,) of speech, in [−1, 1]."""
    example = next((Path(__file__).parents[2] / "examples").glob("recording.*")).read_bytes()
    start = int(START_S * RATE_HZ)
    return decode(example, max_duration_s=60).samples[start : start + int(SECONDS * RATE_HZ)]


def _packets(ogg: bytes) -> list[bytes]:
    with av.open(io.BytesIO(ogg)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]
