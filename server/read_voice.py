"""A recording → its sound's reading, its words' reading, and the transcript."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from fusion.combine import combine
from modalities.errors import LimitError, UnavailableError
from modalities.reading import Modality, Source
from modalities.voice.infer import SegmentResult
from modalities.voice.prepare import PreparedAudio, prepare_wave
from server.analysis import BytesPart, Call, Outcome, Speech, SpokenWord, State, Transcript
from server.logs import LOG
from server.read_text import read_texts
from server.runner import WHOLE_REQUEST, Runner, naming
from server.workers.pool import DECODERS


async def read_voice(part: BytesPart, call: Call, runner: Runner) -> Outcome:
    max_s, limit_s = runner.settings.max_audio_s, runner.settings.max_decode_s

    def prepare() -> PreparedAudio:
        wave = DECODERS.decode_audio(part.content, max_duration_s=max_s, limit_s=limit_s)
        return prepare_wave(wave, words=call.words)

    with naming(part.field):
        audio = await runner.prepare(call, Modality.VOICE, prepare)
    call.audio_s += audio.duration_s
    if call.audio_s > max_s + 1:  # one alone is checked where it is decoded
        raise LimitError(f"the request's audio is longer than {max_s:g} seconds", part.field)
    notes = _audio_notes(audio)
    if not audio.segments:
        notes = ["no speech was found in the audio", *notes]
        return Outcome(Modality.VOICE, State.REJECTED, "; ".join(notes))
    results: list[SegmentResult] = await runner.infer(call, "voice", audio.segments)
    note_voice_models(results, call, runner)
    speeches = [
        Speech(segment.start_s, segment.end_s, [result.reading])
        for segment, result in zip(audio.segments, results, strict=True)
    ]
    seconds = [segment.duration_s for segment in audio.segments]
    readings = [combine([result.reading for result in results], seconds)]
    transcript = await transcribe(speeches, results, call, runner)
    spoken = [(s, d) for s, d in zip(speeches, seconds, strict=True) if len(s.readings) == 2]
    if spoken:
        readings.append(combine([s.readings[1] for s, _ in spoken], [d for _, d in spoken]))
    return Outcome(
        Modality.VOICE, reason="; ".join(notes), readings=readings, transcript=transcript
    )


def _audio_notes(audio: PreparedAudio) -> list[str]:
    notes = []
    if audio.truncated:
        notes.append("the recording is cut short: what is there of it was read")
    if audio.corrupt_packets:
        notes.append(f"{audio.corrupt_packets} of its packets could not be decoded")
    return notes


def note_voice_models(results: Sequence[SegmentResult], call: Call, runner: Runner) -> None:
    """Note with the call which models heard the segments."""
    reader = runner.models_of(call).voice
    assert reader is not None
    embedded = reader.fallback or (None if reader.whisper else reader)
    n_emotions = sum(result.emotion is not None for result in results)
    if embedded and n_emotions:
        call.models["voice"] = embedded.revision
    if reader.whisper:
        call.models["whisper"] = reader.revision
    call.encoder_passes += len(results) + (n_emotions if reader.fallback else 0)


async def transcribe(
    speeches: Sequence[Speech], results: Sequence[SegmentResult], call: Call, runner: Runner
) -> Transcript:
    """The transcript; each of `speeches` gets its text, and its words' reading as its last."""
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
        readings = await read_texts([speech.text for speech in heard], call, runner)
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
        if reading is not None:
            quality = replace(reading.quality, asr_confidence=speech.confidence or 0.0)
            speech.readings.append(replace(reading, source=Source.TRANSCRIPT, quality=quality))
    return transcript
