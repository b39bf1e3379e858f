"""An answer as a small readable table."""

from __future__ import annotations

from collections.abc import Sequence

from emotion.v1.emotion_service_pb2 import AnalyzeEmotionResponse
from emotion.v1.explanation_pb2 import Explanation, TextExplanation
from emotion.v1.types_pb2 import (
    Estimate,
    Modality,
    ModalityResult,
    PictureResult,
    ReadMessage,
    Role,
    SideResult,
    SourceResult,
)
from google.protobuf.duration_pb2 import Duration
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from fusion.sentence import Said, sentence
from modalities.reading import Source

BAR_WIDTH = 24
COLOURS = {
    "positive": "green", "happy": "green", "neutral": "white", "surprise": "yellow",
    "negative": "red", "angry": "red", "sad": "blue", "fear": "magenta", "disgust": "cyan",
}  # fmt: skip


def show(response: AnalyzeEmotionResponse, console: Console) -> None:
    """Print the score, what each source said, bars for each emotion, the modalities, the
    transcript, the messages, the advice."""
    parts: list[RenderableType] = [_headline(response.fused)]
    if response.sources:
        parts += [Text(_told(response), style="dim")]
    if response.fused.HasField("sentiment"):
        parts += ["", _bars(response.fused)]
    parts += ["", _modalities(response)]
    if response.HasField("transcript"):
        parts += ["", _transcript(response)]
    if response.pictures:
        parts += ["", _pictures(response)]
    if response.messages:
        parts += ["", _messages(response)]
    sides = [side for result in response.modalities for side in result.sides]
    if sides:
        parts += ["", _sides(sides)]
    for advice in response.advice:
        parts += ["", Text(f"{advice.text} ({advice.rule})", style="bold")]
    models = ", ".join(f"{m.name.split('/')[-1]}@{m.revision}" for m in response.metadata.models)
    total = {t.stage: t.duration for t in response.metadata.timings}["total"]
    parts += ["", Text(f"{_seconds(total):.2f} s; {models}", style="dim")]
    console.print(Group(*parts))
    if response.HasField("explanation"):
        show_explanation(response.explanation, console)


def show_explanation(explanation: Explanation, console: Console) -> None:
    """Print the reason, each term, the words coloured by where they push, and what moved sound and
    messages; of pictures the strongest part."""
    parts: list[RenderableType] = [Text(explanation.reason, style="bold"), ""]
    parts += [Text(f"  {term.description}") for term in explanation.terms]
    for text in explanation.texts:
        name = SourceResult.Source.Name(text.source).lower()
        parts += ["", Text(f"{name}[{text.index}], error {text.completeness_error:.1%}:")]
        parts += [_coloured(text)]
    if explanation.stretches:
        parts += ["", _stretches(explanation)]
    if explanation.messages:
        table = Table("message", "role", "moved", box=None, header_style="bold")
        for one in explanation.messages:
            table.add_row(str(one.index), Role.Name(one.role).lower(), f"{one.effect:+.2f}")
        parts += ["", table]
    if explanation.regions:
        region = max(explanation.regions, key=lambda one: abs(one.effect))
        place = (
            f"({region.box.left}, {region.box.top}) to ({region.box.right}, {region.box.bottom})"
        )
        parts += ["", Text(f"picture {region.page + 1}, {place}: {region.effect:+.2f}")]
    parts += [Text(note, style="yellow") for note in explanation.left_out]
    console.print(Group("", *parts))


def _coloured(text: TextExplanation) -> Text:
    """The words in order, green where they push towards positive, red towards negative; bold
    where they push at least half as much as the strongest."""
    most = max((abs(word.contribution) for word in text.words), default=0.0) or 1.0
    line, end = Text("  "), None
    for word in text.words:
        part = abs(word.contribution) / most
        colour = "green" if word.contribution > 0 else "red"
        style = f"bold {colour}" if part >= 0.5 else colour if part >= 0.15 else ""
        line.append(" " if end is not None and word.start > end else "")
        line.append(word.text, style=style)
        end = word.end
    return line


def _stretches(explanation: Explanation) -> Table:
    table = Table("from", "to", "sound moved", "words moved", box=None, header_style="bold")
    for one in explanation.stretches:
        table.add_row(
            f"{_seconds(one.start_offset):.1f} s",
            f"{_seconds(one.end_offset):.1f} s",
            f"{one.sound_effect:+.2f}" if one.HasField("sound_effect") else "",
            f"{one.words_effect:+.2f}" if one.HasField("words_effect") else "",
        )
    return table


def _headline(fused: Estimate) -> Text:
    if not fused.HasField("score"):
        return Text("no score: nothing could be read", style="bold yellow")
    colour = "green" if fused.score > 0.2 else "red" if fused.score < -0.2 else "white"
    line = Text.assemble(("score ", "bold"), (f"{fused.score:+.2f}", f"bold {colour}"))
    line.append(
        f"   confidence {fused.confidence:.2f}"
        f"   valence {fused.valence:+.2f}   arousal {fused.arousal:+.2f}"
    )
    if fused.abstained:
        line.append("   abstained: too unsure to act on", style="yellow")
    return line


def _told(response: AnalyzeEmotionResponse) -> str:
    """What each source said, and how the fused score follows from it."""
    said = [
        Said(
            Source[SourceResult.Source.Name(one.source)],
            one.estimate.score,
            one.share,
            one.weakness,
        )
        for one in response.sources
    ]
    return sentence(said, response.fused.score)


def _bars(fused: Estimate) -> Table:
    table = Table.grid(padding=(0, 1))
    rows = [(name, getattr(fused.sentiment, name)) for name in ("positive", "neutral", "negative")]
    rows += [("", 0.0)]
    rows += [(emotion.label, emotion.probability) for emotion in fused.emotions]
    for label, probability in rows:
        if not label:
            table.add_row("")
            continue
        bar = Text("█" * round(probability * BAR_WIDTH) or "▏", style=COLOURS.get(label, "white"))
        table.add_row(label, Text(f"{100 * probability:3.0f} %"), bar)
    return table


def _modalities(response: AnalyzeEmotionResponse) -> Table:
    table = Table("modality", "state", "score", "share", "note", box=None, header_style="bold")
    for result in response.modalities:
        used = result.HasField("estimate")
        table.add_row(
            Modality.Name(result.modality).lower(),
            ModalityResult.State.Name(result.state),
            f"{result.estimate.score:+.2f}" if used else "",
            f"{100 * result.share:.0f} %" if used else "",
            Text("; ".join(filter(None, (result.reason, result.remedy)))),
        )
    return table


def _transcript(response: AnalyzeEmotionResponse) -> RenderableType:
    transcript = response.transcript
    table = Table("from", "to", "score", "speech", box=None, header_style="bold")
    for segment in transcript.segments:
        table.add_row(
            f"{_seconds(segment.start_offset):.1f} s",
            f"{_seconds(segment.end_offset):.1f} s",
            f"{segment.estimate.score:+.2f}",
            Text(segment.text or "…"),
        )
    note = "; ".join(filter(None, (transcript.reason, transcript.remedy)))
    if not note:
        return table
    state = ModalityResult.State.Name(transcript.state)
    return Group(table, Text(f" transcript {state}: {note}", style="yellow"))


def _pictures(response: AnalyzeEmotionResponse) -> Table:
    table = Table("picture", "kind", "sure", "why", box=None, header_style="bold")
    for index, picture in enumerate(response.pictures):
        known = picture.kind != PictureResult.KIND_UNSPECIFIED
        table.add_row(
            str(index + 1),
            PictureResult.Kind.Name(picture.kind).lower() if known else "",
            f"{100 * picture.confidence:.0f} %" if known else "",
            Text(picture.reason),
        )
    return table


def _sides(sides: Sequence[SideResult]) -> Table:
    table = Table("side", "role", "score", "shift", "messages", box=None, header_style="bold")
    for side in sides:
        table.add_row(
            ReadMessage.Side.Name(side.side).lower(),
            Role.Name(side.role).lower() if side.role else "",
            f"{side.estimate.score:+.2f}" if side.estimate.HasField("score") else "",
            f"{side.shift:+.2f}" if side.HasField("shift") else "",
            " ".join(f"{score:+.2f}" for score in side.scores),
        )
    return table


def _messages(response: AnalyzeEmotionResponse) -> Table:
    table = Table("side", "role", "time", "score", "message", box=None, header_style="bold")
    for message in response.messages:
        spoken = message.HasField("estimate")
        has_side = message.side != ReadMessage.SIDE_UNSPECIFIED
        table.add_row(
            ReadMessage.Side.Name(message.side).lower() if has_side else "",
            Role.Name(message.role).lower() if message.role else "",
            Text(message.time_text),
            f"{message.estimate.score:+.2f}" if spoken else "",
            _words(message, spoken),
        )
    return table


def _words(message: ReadMessage, spoken: bool) -> Text:
    text = Text(message.text, style="" if spoken else "dim")
    if message.quoted_text:
        text.append(f"\n> {message.quoted_text}", style="dim")
    if message.sender_name:
        text = Text.assemble((f"{message.sender_name}: ", "dim"), text)
    return text


def _seconds(duration: Duration) -> float:
    return duration.ToNanoseconds() / 1e9
