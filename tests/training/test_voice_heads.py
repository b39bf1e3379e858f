"""What is asked of a head: labels that a set has, speakers held out, doubt in noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from modalities.errors import InputError
from modalities.reading import EMOTIONS
from modalities.voice.head import VoiceDimensions, known_of
from training import voice_head
from training.clips import SMOOTHING, head_loss, sentiment_weights, uar
from training.heard import Speakers, Table, means
from training.labelled import Labelled
from training.loop import Recipe
from training.voice_head import Read, calibrate, folds, read, teach, untaught

DIMS = VoiceDimensions(80, 1500, 8, 2, 1, n_hidden=16, n_tones=4)
EVERY = (True,) * 7
RECIPE = Recipe(epochs=60, learning_rate=1e-2, weight_decay=0.0, patience=60)


def clip(
    emotion: int, sentiment: int, held: tuple[bool, ...] = EVERY, speaker: str = "a"
) -> Labelled:
    return Labelled("some", f"some/{speaker}", held, emotion, sentiment)


def table(n_speakers: int = 6, n_each: int = 80) -> Table:
    """Two moods, each heard against a voice that is louder or lower by nature."""
    rng = np.random.default_rng(0)
    items, layers, tones = [], [], []
    for speaker in range(n_speakers):
        voice = rng.normal(0, 3)
        for place in range(n_each):
            emotion = 1 + place % 2
            value = voice + (1.0 if emotion == 1 else -1.0)
            items.append(clip(emotion, 0 if emotion == 1 else 2, speaker=str(speaker)))
            layers.append(np.full((2, 2, 8), value) + rng.normal(0, 0.3, (2, 2, 8)))
            tones.append(rng.normal(0, 1, 4))
    n = len(items)
    return Table(
        items,
        torch.tensor(np.array(layers)).half(),
        torch.tensor(np.array(tones), dtype=torch.float32),
        torch.tensor([[30.0, -26.0, -10.0]]).repeat(n, 1),
        np.zeros(n, bool),
    )


def test_a_set_teaches_only_labels_it_has() -> None:
    held = tuple(name in ("angry", "happy", "neutral", "sad") for name in EMOTIONS)
    emotions = torch.zeros(1, 7, requires_grad=True)
    head_loss(torch.zeros(1, 3), emotions, [clip(0, 1, held)], torch.ones(3)).backward()
    assert emotions.grad is not None
    assert tuple((emotions.grad[0] != 0).tolist()) == held


def test_the_loss_is_least_at_the_smoothed_label() -> None:
    held = (True, True, False, False, False, False, False)
    share = SMOOTHING / 2
    best = torch.tensor([[1 - share, share, 1, 1, 1, 1, 1]]).log()
    sentiment = torch.zeros(1, 3)
    items, weights = [clip(0, -1, held)], torch.ones(3)
    least = head_loss(sentiment, best, items, weights)
    for step in (-0.1, 0.1):
        moved = best + torch.tensor([step, 0, 0, 0, 0, 0, 0])
        assert head_loss(sentiment, moved, items, weights) > least


def test_sentiments_weigh_against_how_often_they_are_drawn() -> None:
    items = [clip(0, 0), clip(0, 1), clip(0, 1), clip(6, -1)]
    weights = sentiment_weights(items, [1.0, 1.0, 2.0, 5.0])
    assert weights[2] == 0  # none is drawn
    assert weights[0] == pytest.approx(3 * float(weights[1]))


def test_a_head_learns_moods_against_the_speaker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself an utterance of a voice that nobody knows says little here; after others, much."""
    monkeypatch.setattr(voice_head, "DROPOUT", 0.0)
    whole = table(24, 40)
    train, asked = whole[np.arange(800)], whole[np.arange(800, 960)]
    head = untaught(DIMS, train)
    teach(head, train, RECIPE, tmp_path, "")
    after = uar(read(head, asked, 10).emotions, asked.items)["some"]
    assert after > 0.9 and after > uar(read(head, asked, 0).emotions, asked.items)["some"] + 0.1


def test_everybodys_mean_is_that_of_the_table() -> None:
    whole = table()
    head = untaught(DIMS, whole)
    utterances = head.mixed(*(part.float() for part in whole.scaled(head)))
    assert utterances.mean(0).abs().max() < 0.05
    assert utterances[:, -4:].std(0).sub(1).abs().max() < 0.1


def test_what_was_said_before_is_the_speakers_and_not_the_clip_itself() -> None:
    whole = table(3, 20)
    speakers, rng = Speakers(whole), np.random.default_rng(0)
    for place in (0, 25, 59):
        before = speakers.before(place, 8, False, rng)
        assert len(before) == len(set(before)) == 8 and place not in before
        assert {whole.items[other].speaker for other in before} == {whole.items[place].speaker}
        moods = speakers.before(place, 8, True, rng)
        assert {whole.items[other].emotion for other in moods} == {whole.items[place].emotion}
    assert len(speakers.before(0, 99, False, rng)) == 19


def test_means_are_shrunk_to_everybodys() -> None:
    utterances = torch.tensor([[2.0], [4.0], [9.0]])
    mean, known = means([[], [0], [0, 1]], utterances)
    share = known_of(torch.tensor([0.0, 1.0, 2.0]))
    torch.testing.assert_close(known, share)
    torch.testing.assert_close(mean[:, 0], torch.tensor([0.0, 2.0, 3.0]) * share)


def test_folds_hold_whole_speakers_out() -> None:
    whole = table()
    fold_of = folds(whole)
    assert set(fold_of.tolist()) == set(range(voice_head.N_FOLDS))
    for speaker in {item.speaker for item in whole.items}:
        assert len({fold_of[i] for i, one in enumerate(whole.items) if one.speaker == speaker}) == 1
    with pytest.raises(InputError, match="two speakers"):
        folds(table(1, 4))


def test_temperatures_follow_from_errors_and_from_noise() -> None:
    torch.manual_seed(0)
    whole = table(4, 200)
    truth = torch.tensor([item.emotion for item in whole.items])
    noisy = torch.arange(len(truth)) % 2 == 0
    whole.quality[:, 0] = torch.where(noisy, 0.0, 40.0)
    wrong = torch.rand(len(truth)) < torch.where(noisy, 0.45, 0.1)
    said = torch.where(wrong, 3 - truth, truth)
    logits = 8.0 * torch.nn.functional.one_hot(said, 7)
    temperature = calibrate(whole, [Read(torch.zeros(len(truth), 3), logits)])
    sure = [
        (logits / (temperature["emotion"] * (1 + temperature["doubt"] * doubt))).softmax(-1).amax()
        for doubt in (0.0, 1.0)
    ]
    assert float(sure[0]) == pytest.approx(0.9, abs=0.05)
    assert float(sure[1]) == pytest.approx(0.55, abs=0.15)
