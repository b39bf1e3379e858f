"""The voice recipe: an emotion head on the frozen first blocks of a Whisper encoder.

The blocks run once over the clips (`training.states`), the head then learns in minutes. Speakers
are few: what a head is worth, and how sure it is to be, is learnt from heads that did not hear
the speakers whom they answer for, and the head that is kept learns from all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from whisper.model import AudioEncoder

import weights
from modalities.cache import cache_dir
from modalities.errors import InputError
from modalities.model import infer_all
from modalities.reading import EMOTIONS, SENTIMENTS, stacked
from modalities.voice import model as voice_model
from modalities.voice import whisper_checkpoint
from modalities.voice.head import EmotionHead, VoiceDimensions
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import Segment, decode, segment
from modalities.voice.states import first_blocks
from modalities.voice.stream import SAMPLE_RATE_HZ
from training import states, voice_head
from training.clips import uar
from training.heard import Table
from training.loop import Recipe, fingerprint
from training.options import Options, is_published
from training.rows import Row, held_emotions, read_bytes

BASE = "base"  # the size of Whisper whose blocks are embedded
N_HIDDEN = 256
BATCH = 16


def recipe_of(options: Options) -> Recipe:
    """Give the recipe from scratch, or the shorter and gentler one from a model of ours."""
    recipe = voice_head.RECIPE
    if options.base is not None and not is_published(options.base):
        recipe = replace(recipe, epochs=4, learning_rate=recipe.learning_rate / 3)
    return recipe.chosen(options)


def train(rows: Sequence[Row], run_dir: Path, out: Path, options: Options) -> None:
    """Train on the `train` rows, calibrate on speakers of theirs held out, write the file `out`.

    The base is a Whisper checkpoint's name or file, or a model of ours, whose head is trained on.
    What was computed of the clips is kept in the cache's folder; a run that was killed resumes.
    Raises UnavailableError where the base cannot be had, InputError where its blocks are to train
    or there are not two speakers.
    """
    if options.peft or options.freeze:
        raise InputError("a Whisper encoder is used as it is: only the head trains", "peft")
    blocks, dims, started = start(options)
    table = heard(blocks, rows, ["train"])
    inputs = fingerprint([(row.content, row.split, row.emotion) for row in rows], options)
    head, temperature = voice_head.learn(dims, table, recipe_of(options), run_dir, inputs, started)
    dev = heard(blocks, rows, ["dev"])
    for way, (n_before, one_mood) in voice_head.WAYS.items():
        figures = uar(voice_head.read(head, dev, n_before, one_mood).emotions, dev.items)
        print(f"dev UAR, {way}: " + ", ".join(f"{n} {f:.3f}" for n, f in figures.items()))
    voice_model.save(
        out,
        dims,
        first_blocks(blocks.state_dict()),
        head,
        temperature,
        recipe={
            "sets": list(dict.fromkeys(item.data_set for item in table.items)),
            "options": asdict(options),
            "seed": voice_head.RECIPE.seed,
        },
    )


def start(options: Options) -> tuple[AudioEncoder, VoiceDimensions, EmotionHead | None]:
    """Find the blocks to hear with, their dimensions, and the head to go on with, if any."""
    base = options.base or BASE
    if is_published(base):
        path = whisper_checkpoint.locate(base, cache_dir())
        whisper, _ = whisper_checkpoint.load(base, path, options.device)
        return whisper.encoder, voice_model.dimensions(whisper.dims, N_HIDDEN), None
    path = weights.path_of("voice") if base == "embedded" else Path(base)
    voice = voice_model.load(path).to(options.device)
    return voice.blocks, voice.dims, voice.head.cpu()


def heard(blocks: AudioEncoder, rows: Sequence[Row], splits: Sequence[str]) -> Table:
    """Hear the rows of some splits that have an emotion, or take from the cache what was heard
    before."""
    found = states.heard(blocks, rows, splits, cache_dir() / "states")
    if not found:
        raise InputError("no row has an emotion", "data")
    return Table.of(found, held_emotions(row for row in rows if row.emotion))


def predict(path: Path, rows: Sequence[Row]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read whole clips as the service does, their speech as one segment.

    Returns calibrated log-probabilities (n, 3) over SENTIMENTS and (n, 7) over EMOTIONS; even ones
    where nothing can be heard.
    """
    waves = (decode(read_bytes(row.content), max_duration_s=60) for row in rows)
    reader = VoiceReader.load(path)
    results = infer_all(reader, [speech_of(wave.samples) for wave in waves], BATCH)
    sentiment = np.full((len(rows), len(SENTIMENTS)), -np.log(len(SENTIMENTS)), np.float32)
    emotions = np.full((len(rows), len(EMOTIONS)), -np.log(len(EMOTIONS)), np.float32)
    felt = [place for place, result in enumerate(results) if result.emotion]
    if felt:
        sentiment[felt], emotions[felt] = stacked([results[place].reading for place in felt])
    return sentiment, emotions


def speech_of(wave: NDArray[np.float32]) -> Segment:
    """Take the speech in (n,) samples at 16 kHz, from its first stretch to its last, or all of
    them where none is found."""
    found = segment(wave)
    if not found:
        return Segment(wave, 0.0, len(wave) / SAMPLE_RATE_HZ, 0.0)
    if len(found) == 1:
        return found[0]
    start_s, end_s = found[0].start_s, found[-1].end_s
    samples = wave[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
    return Segment(samples, start_s, end_s, float(np.mean([one.snr_db for one in found])))
