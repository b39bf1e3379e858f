"""The `emotion` command. Heavy imports stand inside the commands, so that --help is fast."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from server.alerts.cli import alerts_app
from server.calls.cli import score_calls
from server.console.cli import console
from server.feedback.cli import feedback_app
from server.models_cli import models_app
from server.observe.cli import doctor, health, plan
from server.options import (
    Device,
    Plaintext,
    Set,
    TlsCa,
    TlsCertificate,
    TlsKey,
    Token,
    Whisper,
    WhisperDir,
    access_of,
    settings_of,
)
from server.security.cli import tokens_app
from server.store.cli import store_app
from server.strategy.cli import rules_app
from server.trends import show as trends
from training.cli import train_app
from training.data_cli import data_app
from training.evaluation.cli import evaluate
from training.learn.cli import learn_app

if TYPE_CHECKING:
    from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest, AnalyzeEmotionResponse

    from server.settings import Settings

BAD_INPUT, FAILED = 2, 1  # exit statuses


class _Group(TyperGroup):
    """An error that was raised on purpose: its message and an exit status, no traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if "modalities.errors" not in sys.modules:  # it imports torch, which not all do
                raise
            from modalities.errors import EmotionError, InputError, UnavailableError

            if not isinstance(error, EmotionError):
                raise
            refused = getattr(error, "refused", isinstance(error, InputError))
            message = str(error)
            if isinstance(error, InputError) and error.field:
                message = f"{error.field}: {message}"
            if isinstance(error, UnavailableError):
                message = f"{message}; {error.remedy}"
            print(f"emotion: {message}", file=sys.stderr)
            raise typer.Exit(BAD_INPUT if refused else FAILED) from None


app = typer.Typer(
    cls=_Group,
    help="One calibrated emotion score from text, voice and image.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(models_app, name="models")
app.add_typer(train_app, name="train")
app.add_typer(data_app, name="data")
app.add_typer(learn_app, name="learn")
app.add_typer(feedback_app, name="feedback")
app.add_typer(rules_app, name="rules")
app.add_typer(store_app, name="store")
app.add_typer(alerts_app, name="alerts")
app.add_typer(tokens_app, name="tokens")
app.command("trends")(trends)
app.command()(doctor)
app.command()(health)
app.command()(plan)
app.command()(console)
app.command()(evaluate)
app.command()(score_calls)

Audio = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, readable=True, help="A recording.")
]
Images = Annotated[
    list[Path] | None,
    typer.Option(exists=True, dir_okay=False, readable=True, help="A picture; repeat for pages."),
]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes any free one.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="local, or ray: models on a Ray cluster.")
    ] = None,
    device: Device = None,
    whisper: Whisper = None,
    whisper_dir: WhisperDir = None,
    other: Set = None,
) -> None:
    """Serve emotion.v1 over gRPC until SIGTERM. EMOTION_* variables set what options do not."""
    settings = settings_of(
        other,
        host=host,
        port=port,
        engine=engine,
        device=device,
        whisper=whisper,
        whisper_dir=whisper_dir,
    )
    from server import logs, service

    logs.configure()
    with asyncio.Runner(loop_factory=service.new_event_loop) as runner:
        runner.run(service.serve(settings))


@app.command()
def analyze(
    text: Annotated[str | None, typer.Option(help="A text.")] = None,
    audio: Audio = None,
    image: Images = None,
    server: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Ask a server, not this process.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the response as JSON.")] = False,
    customer_side: Annotated[str, typer.Option(help="auto, left or right, of a chat.")] = "auto",
    words: Annotated[bool, typer.Option(help="Offsets of each word of a transcript.")] = False,
    explain: Annotated[
        bool, typer.Option(help="Say why: words, speech, parts of pictures.")
    ] = False,
    annotate: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png", help="Draw boxes, sides and scores; of several pages OUT-1.png, …"
        ),
    ] = None,
    timeout_s: Annotated[float, typer.Option(help="How long to wait for a server.")] = 300.0,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    token: Token = None,
    plaintext: Plaintext = False,
    device: Device = None,
    whisper: Whisper = None,
    whisper_dir: WhisperDir = None,
    other: Set = None,
) -> None:
    """Analyse a text, a recording and pictures as one utterance."""
    settings = settings_of(other, device=device, whisper=whisper, whisper_dir=whisper_dir)
    request = build_request(text, audio, image or [], customer_side, words, explain)
    if server is not None:
        from server import client

        access = access_of(tls_ca, tls_certificate, tls_key, token, plaintext)
        response = client.analyze(server, request, timeout_s, **access)
    else:
        response = asyncio.run(_in_process(request, settings))
    if annotate is not None:
        _annotate(annotate, request, response, settings)
    if as_json:
        from google.protobuf.json_format import MessageToJson

        print(
            MessageToJson(
                response,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
                ensure_ascii=False,
            )
        )
    else:
        from rich.console import Console

        from server.show import show

        show(response, Console())


@app.command()
def demo(
    examples: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of the examples.")
    ] = Path("examples"),
) -> None:
    """Start a server, send it a sentence, a recording and a screenshot, show the answer, stop."""
    from server.demo import run

    run(examples)


def build_request(
    text: str | None,
    audio: Path | None,
    images: list[Path],
    customer_side: str = "auto",
    words: bool = False,
    explain: bool = False,
) -> AnalyzeEmotionRequest:
    """The request of the command line's options; raises InputError on a bad side."""
    from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
    from emotion.v1.types_pb2 import AnalysisConfig, Audio, Image, Text

    from modalities.errors import InputError

    side = customer_side.upper()
    if side not in ("AUTO", "LEFT", "RIGHT"):
        raise InputError("auto, left or right", "--customer-side")
    return AnalyzeEmotionRequest(
        text=None if text is None else Text(content=text),
        audio=None if audio is None else Audio(content=audio.read_bytes()),
        images=[Image(content=path.read_bytes()) for path in images],
        config=AnalysisConfig(
            customer_side=AnalysisConfig.CustomerSide.Value(side), words=words, explain=explain
        ),
    )


def _annotate(
    path: Path,
    request: AnalyzeEmotionRequest,
    response: AnalyzeEmotionResponse,
    settings: Settings,
) -> None:
    from modalities.image.decode import ImageLimits
    from server.annotate import annotate

    limits = ImageLimits(settings.max_image_pixels, settings.max_image_side_pixels)
    contents = [image.content for image in request.images]
    for written in annotate(contents, response, path, limits):
        print(f"drawn: {written}", file=sys.stderr)


async def _in_process(request: AnalyzeEmotionRequest, settings: Settings) -> AnalyzeEmotionResponse:
    from server import logs, models
    from server.follow import Followers
    from server.pipeline import Pipeline
    from server.strategy.book import Book

    logs.configure()
    followers = Followers(Book.load(settings.rules))
    async with Pipeline(models.load(settings), settings, followers) as pipeline:
        return await pipeline.analyze(request)


if __name__ == "__main__":
    app()
