"""Stream a call to a running service and print what it tells: the stubs are all that is needed.

    python examples/stream_call.py 127.0.0.1:50051 [recording.ogg]

A file stands here for what a telephone system sends: it goes out in pieces of a twentieth of a
second or so, as they would come.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
from emotion.v1 import call_pb2 as pb
from emotion.v1 import emotion_service_pb2_grpc, types_pb2

CHUNK_BYTES = 200


def requests(recording: Path) -> Iterator[pb.StreamCallRequest]:
    """The configuration first, then the audio. For a stereo telephone line it would be

    StreamCallConfig(encoding=MULAW, sample_rate_hz=8000, channel_roles=[CUSTOMER, AGENT])
    """
    yield pb.StreamCallRequest(
        config=pb.StreamCallConfig(
            encoding=pb.StreamCallConfig.OGG_OPUS, channel_roles=[types_pb2.CUSTOMER]
        )
    )
    with recording.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield pb.StreamCallRequest(audio=chunk)


def main(server: str, recording: Path) -> None:
    with grpc.insecure_channel(server) as channel:
        service = emotion_service_pb2_grpc.EmotionServiceStub(channel)
        for event in service.StreamCall(requests(recording)):
            match event.WhichOneof("event"):
                case "utterance":
                    said = event.utterance
                    start_s, end_s = (
                        offset.ToTimedelta().total_seconds()
                        for offset in (said.start_offset, said.end_offset)
                    )
                    role = types_pb2.Role.Name(said.role)
                    score = f"{said.estimate.score:+.2f}" if said.HasField("estimate") else "none"
                    print(f"{start_s:6.2f} to {end_s:6.2f} s, {role}: score {score} {said.text}")
                case "advice":
                    print(f"advice ({event.advice.rule}): {event.advice.text}")
                case "state" if event.state.HasField("score"):
                    print(f"after {event.state.offset.ToTimedelta()}: {event.state.score:+.2f}")
                case "summary":
                    customer = event.summary.customer
                    print(f"the customer's score: {customer.score:+.2f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else "examples/recording.ogg"))
