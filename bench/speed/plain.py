"""The server that a user would write first: grpc.aio, and the text model in fp32, a text a call.

It runs a request in one of as many threads as there are cores, so that all of them are used and
its event loop is free, and answers with the fused estimate alone: no checks, no fusion, no rules.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import torch
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest, AnalyzeEmotionResponse
from emotion.v1.emotion_service_pb2_grpc import (
    EmotionServiceServicer,
    add_EmotionServiceServicer_to_server,
)
from emotion.v1.types_pb2 import Emotion, Estimate
from tokenizers import Tokenizer

import weights
from modalities import checkpoint
from modalities.reading import EMOTIONS, NEGATIVE, POSITIVE
from modalities.text.model import MESSAGE, TextDimensions, TextModel


class PlainServer(EmotionServiceServicer):
    def __init__(self) -> None:
        saved = checkpoint.load(weights.path_of("text"))
        dims = TextDimensions(**saved.dims)
        self.tokenizer = Tokenizer.from_str(saved.extra["tokenizer"])
        self.tokenizer.enable_truncation(dims.n_ctx)
        self.model = TextModel(dims).eval()
        self.model.load_state_dict(saved.state)
        self.threads = ThreadPoolExecutor(os.cpu_count())

    async def AnalyzeEmotion(  # noqa: N802, gRPC's name
        self, request: AnalyzeEmotionRequest, context: Any
    ) -> AnalyzeEmotionResponse:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, self.answer, request.text.content)

    @torch.inference_mode()
    def answer(self, text: str) -> AnalyzeEmotionResponse:
        ids = torch.tensor([self.tokenizer.encode(text).ids])  # (1, t)
        sentiment, emotions, _ = self.model(ids, torch.full_like(ids, MESSAGE))
        of_sentiment = sentiment.softmax(-1)[0].tolist()
        fused = Estimate(
            score=of_sentiment[POSITIVE] - of_sentiment[NEGATIVE],
            emotions=[
                Emotion(label=label, probability=p)
                for label, p in zip(EMOTIONS, emotions.softmax(-1)[0].tolist(), strict=True)
            ],
            confidence=max(of_sentiment),
        )
        return AnalyzeEmotionResponse(fused=fused)


async def main() -> None:
    torch.set_num_threads(1)
    server = grpc.aio.server()
    add_EmotionServiceServicer_to_server(PlainServer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f'"serving", "address": "127.0.0.1:{port}"', file=sys.stderr, flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(1)


if __name__ == "__main__":
    asyncio.run(main())
