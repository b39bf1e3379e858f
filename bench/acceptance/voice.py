"""Issue 'A voice model on Whisper's states': what it must show of moods.

Speakers or whole sets are held out in folds of the recipe (`training.folds`); damage and modesty
are of the shipped weights on `test`. Baselines, functionals with a support vector machine, are of
the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

import weights
from bench.acceptance.lines import Line, high, low, outcome
from bench.acceptance.service import Outcome, tests
from fusion.pool import FusionPool
from modalities.reading import Array, Quality, Reading, Source
from modalities.voice.infer import VoiceReader
from modalities.voice.prepare import decode, noise_floor, power, segment, snr_db
from modalities.voice.stream import SAMPLE_RATE_HZ
from training import augment, folds
from training.evaluation import baselines, judge
from training.evaluation.judge import Classified
from training.evaluation.robustness import robustness
from training.folds import Answers
from training.rows import load, read_bytes, sets_of

BUILD = Path(__file__).parents[2] / "build" / "acceptance"
ALONE = {"nemo": (0.67, 0.75), "ravdess": (0.79, 0.85), "casia": (0.55, 0.62), "urdu": (0.67, 0.73)}
AFTER = {"nemo": (0.78, 0.85), "ravdess": (0.83, 0.88), "casia": (0.62, 0.70)}
WHOLE, WHOLE_AFTER, WHOLE_AIM = 0.55, 0.60, 0.68
MOST_LOST = 0.03  # by whom has one mood throughout
DAMAGE = {"8 kHz μ-law": (0.03, 0.01), "SNR 10 dB": (0.10, 0.06)}
ECE, ECE_AIM = 0.07, 0.05
N_CLIPS, STEPS_DB, RISE = 200, (np.inf, 25.0, 18.0, 12.0, 6.0, 0.0), 0.02


@cache
def of_speakers() -> Answers:
    """Answers for speakers that were not heard."""
    return folds.held_out_speakers(*folds.tabulate(), BUILD)


@cache
def of_sets() -> Answers:
    """Answers for sets that were not heard."""
    return folds.held_out_sets(*folds.tabulate(), BUILD)


def speakers_held_out() -> Outcome:
    """By itself, each set's speakers in folds."""
    lines = {}
    for name in sets_of("voice"):
        found = of_speakers().judged(name, "alone")
        baseline = round(baselines.voice_folds(name)["uar"], 4)
        lines[name] = high(found.uar, *ALONE.get(name, (None, None)), n=found.n, baseline=baseline)
    return outcome(lines)


def after_ten() -> Outcome:
    """After ten other utterances of the speaker."""
    lines = {}
    for name in sets_of("voice"):
        found = of_speakers().judged(name, "after")
        alone = of_speakers().judged(name, "alone").uar
        lines[name] = high(found.uar, *AFTER.get(name, (None, None)), alone=round(alone, 4))
    return outcome(lines)


def one_mood() -> Outcome:
    """After ten utterances of the very mood, against none."""
    lines = {}
    for name in sets_of("voice"):
        found = of_speakers().judged(name, "one mood")
        alone = of_speakers().judged(name, "alone").uar
        lines[name] = high(found.uar, alone - MOST_LOST, alone)
    return outcome(lines)


def sets_held_out() -> Outcome:
    """The whole set held out, the four emotions, and the mean of the sets."""
    lines: dict[str, Line] = {}
    for way, floor in (("alone", WHOLE), ("after", WHOLE_AFTER)):
        uars = {name: of_sets().judged(name, way, baselines.FOUR).uar for name in sets_of("voice")}
        theirs = [baselines.voice_from_other_sets(name)["uar"] for name in uars]
        rounded = {name: round(uar, 4) for name, uar in uars.items()}
        lines[way] = high(
            float(np.mean(list(uars.values()))), floor, WHOLE_AIM,
            sets=rounded, baseline=round(float(np.mean(theirs)), 4),
        )  # fmt: skip
    return outcome(lines)


def damage() -> Outcome:
    """What a telephone line and noise cost the shipped weights."""
    lines = {}
    path = weights.path_of("voice")
    for name in ("ravdess", "nemo"):
        clean = judge.judge("voice", name, "test", path)[0]
        assert isinstance(clean, Classified)
        found = robustness("voice", clean, path, conditions=list(DAMAGE))
        for condition, bounds in DAMAGE.items():
            lost = -float(found[condition]["difference"])
            lines[f"{name}, {condition}"] = low(lost, *bounds, clean=round(clean.figures.uar, 4))
    return outcome(lines)


def calibration() -> Outcome:
    """Of speakers that were not heard, by itself and after others."""
    return outcome(
        {
            f"{name}, {way}": low(of_speakers().judged(name, way).ece, ECE, ECE_AIM)
            for name in sets_of("voice")
            for way in ("alone", "after")
        }
    )


def modesty() -> Outcome:
    """The same clip in ever more noise: how often weight or confidence rises from a step to the
    next, and their means a step."""
    reader, pool = (
        VoiceReader.load(weights.path_of("voice")),
        FusionPool.load(weights.path_of("fusion")),
    )
    rows = [row for name in ("ravdess", "nemo") for row in load("voice", name, "test")]
    rows = rows[:: max(1, len(rows) // N_CLIPS)][:N_CLIPS]
    sure, weight = (np.full((len(rows), len(STEPS_DB)), np.nan) for _ in range(2))
    for place, row in enumerate(rows):
        wave = decode(read_bytes(row.content), max_duration_s=60).samples
        for step, reading in enumerate(_in_noise(reader, wave, place)):
            if reading is None:  # it abstains: nothing weighs less
                sure[place, step] = weight[place, step] = 0.0
                continue
            sure[place, step] = np.exp(reading.log_sentiment).max()
            (fused,) = pool.infer([[_words(), reading]])
            (share,) = (one for one in fused.sources if one.source is Source.VOICE)
            weight[place, step] = share.weight
    lines: dict[str, Line] = {}
    for name, values in (("confidence", sure), ("weight", weight)):
        rises = np.diff(values, axis=1) > RISE
        means = [round(float(mean), 4) for mean in values.mean(0)]
        lines[name] = low(float(rises.mean()), 0.0, 0.0, means=means, clips=len(rows))
    return outcome(lines)


def _in_noise(reader: VoiceReader, wave: Array, seed: int) -> list[Reading | None]:
    """Readings of the first stretch of speech in a wave, found in the clean one, at each of
    STEPS_DB."""
    found = segment(wave)
    if not found:
        return [None] * len(STEPS_DB)
    start, end = (round(at * SAMPLE_RATE_HZ) for at in (found[0].start_s, found[0].end_s))
    items = [found[0]]
    for snr in STEPS_DB[1:]:
        noisy = augment.noise(wave, np.random.default_rng(seed), snr)
        outside = np.concatenate([noisy[:start], noisy[end:]])
        speech = noisy[start:end]
        floor = power(outside) if len(outside) >= 0.3 * SAMPLE_RATE_HZ else noise_floor(speech)
        items.append(replace(found[0], samples=speech, snr_db=snr_db(power(speech), floor)))
    return [result.emotion for result in reader.infer(items)]


def _words() -> Reading:
    """Of a text that says little, for the pool to weigh a voice against."""
    even = np.log(np.full(7, 1 / 7, np.float32))
    quality = Quality(characters=40.0, asr_confidence=0.8)
    sentiment = np.log(np.array([0.3, 0.4, 0.3], np.float32))
    return Reading(Source.TRANSCRIPT, sentiment, even, np.zeros(1, np.float32), quality)


CHECKS: dict[str, Callable[[], Outcome]] = {
    "speakers_held_out": speakers_held_out,
    "after_ten_utterances": after_ten,
    "one_mood_throughout": one_mood,
    "sets_held_out": sets_held_out,
    "damage": damage,
    "calibration": calibration,
    "modesty": modesty,
    "one_pass_and_own_blocks_agree": partial(
        tests, "tests/modalities/test_voice_infer.py", "-k", "one_pass or own_blocks or margin"
    ),
    "streams_and_recordings_agree": partial(
        tests, "tests/server/test_speakers.py", "tests/server/calls/test_call_session.py"
    ),
}
