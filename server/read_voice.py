"""A recording → its sound's reading, its words' reading, and the transcript."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from fusion.combine import combine
from modalities.errors import LimitError, UnavailableError
from modalities.reading import Modality, Reading, Source
from modalities.voice.infer import SegmentResult
from modalities.voice.prepare import PreparedAudio, prepare_wave
from server.analysis import BytesPart, Call, Outcome, Role, Speech, SpokenWord, State, Transcript
from server.logs import LOG
from server.read_text import not_scored, read_texts, remedy_of
from server.runner import WHOLE_REQUEST, Runner, naming
from server.speakers import in_turn
from server.turns import Place, Said
from server.workers.pool import DECODERS


async def read_voice(
    part: BytesPart, sender: Role, place: Place, call: Call, runner: Runner
) -> Outcome:
    max_s, limit_s = runner.settings.max_audio_s, runner.settings.max_decode_s
    if "whisper" in runner.models_of(call).missing:
        place.tell(Modality.VOICE)

    def prepare() -> PreparedAudio:
        wave = DECODERS.decode_audio(part.content, max_duration_s=max_s, limit_s=limit_s)
        return prepare_wave(wave, words=call.words)

    with naming(part.field):
        audio = await runner.prepare(call, Modality.VOICE, prepare)
    call.audio_s += audio.duration_s
    if call.audio_s > max_s + 1:  # one alone is checked where it is decoded
        raise LimitError(f"the request's audio is longer than {max_s:g} seconds", part.field)
    if not audio.segments:
        reason = "; ".join(["no speech was found in the audio", *audio.notes])
        return Outcome(Modality.VOICE, State.REJECTED, reason)
    results: list[SegmentResult] = await runner.infer(call, "voice", audio.segments)
    note_voice_models(results, call, runner)
    reader = runner.models_of(call).voice
    assert reader is not None
    results = in_turn(results, reader)
    speeches = [
        Speech(
            segment.start_s,
            segment.end_s,
            segment.loudness_dbfs,
            [result.emotion] if result.emotion else [],
        )
        for segment, result in zip(audio.segments, results, strict=True)
    ]
    transcript = await transcribe(speeches, results, sender, place, call, runner)
    seconds = [segment.duration_s for segment in audio.segments]
    readings = []
    for source in (Source.VOICE, Source.TRANSCRIPT):
        found = [
            (reading, length_s)
            for speech, length_s in zip(speeches, seconds, strict=True)
            for reading in speech.readings
            if reading.source is source
        ]
        if found:
            readings.append(combine([one for one, _ in found], [length for _, length in found]))
    notes = [*audio.notes, *dict.fromkeys(one.not_heard for one in results if one.not_heard)]
    return Outcome(
        Modality.VOICE,
        State.USED if readings else State.REJECTED,
        reason="; ".join(notes),
        readings=readings,
        transcript=transcript,
    )


def note_voice_models(results: Sequence[SegmentResult], call: Call, runner: Runner) -> None:
    """Note with the call which models heard the segments."""
    reader = runner.models_of(call).voice
    assert reader is not None
    if any(result.emotion is not None for result in results):
        call.models["voice"] = reader.revision
    if reader.whisper_revision:
        call.models["whisper"] = reader.whisper_revision
    call.encoder_passes += sum(result.passes for result in results)


async def transcribe(
    speeches: Sequence[Speech],
    results: Sequence[SegmentResult],
    speaker: Role | None,
    place: Place,
    call: Call,
    runner: Runner,
) -> Transcript:
    """The transcript; each of `speeches` gets its text, and its words' reading as its last.

    All of them are one turn of `speaker` at `place`.
    """
    transcript = Transcript(list(speeches))
    missing = runner.models_of(call).missing.get("whisper")
    if missing:
        transcript.state = State.UNAVAILABLE
        transcript.reason, transcript.remedy = missing.reason, missing.remedy
        return transcript
    heard = []
    for speech, result in zip(speeches, results, strict=True):
        said = result.transcript
        if said is None or not said.text.strip():
            continue
        speech.text, speech.confidence = said.text.strip(), said.confidence
        speech.language = said.language
        speech.words = tuple(SpokenWord(w.text, w.start_s, w.end_s) for w in said.words)
        heard.append(speech)
    if not heard:
        transcript.state = State.REJECTED
        dropped = Counter(r.transcript.dropped for r in results if r.transcript)
        reasons = [reason for reason, _ in dropped.most_common() if reason]
        transcript.reason = "; ".join(["no words were understood", *reasons])
        return transcript
    try:
        texts = [Said(speaker, speech.text) for speech in heard]
        readings = await read_texts(texts, Modality.VOICE, place, call, runner, one_turn=True)
    except WHOLE_REQUEST:
        raise
    except UnavailableError as error:
        transcript.reason, transcript.remedy = error.reason, error.remedy
        return transcript
    except Exception:
        LOG.exception("transcript failed", extra={"request_id": call.request_id})
        transcript.state, transcript.reason = State.FAILED, "the service failed on its words"
        return transcript
    for speech, reading in zip(heard, readings, strict=True):
        if isinstance(reading, Reading):
            quality = replace(reading.quality, asr_confidence=speech.confidence or 0.0)
            speech.readings.append(replace(reading, source=Source.TRANSCRIPT, quality=quality))
        else:
            speech.unread = reading
    if unread := [speech.unread for speech in heard if speech.unread]:
        counts = Counter(error.reason for error in unread)
        transcript.reason = not_scored(counts, len(heard), "stretches of speech")
        transcript.remedy = remedy_of(unread)
    return transcript
