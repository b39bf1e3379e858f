"""A head weighs every layer, both views, and grows evener with doubt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modalities.reading import Quality
from modalities.voice.head import (
    EmotionHead,
    VoiceDimensions,
    calibrated,
    doubt_of,
    known_of,
    pooled_sentiment,
)
from modalities.voice.speaker import Sound, Speaker
from modalities.voice.utterance import highs_db, statistics

DIMS = VoiceDimensions(80, 1500, 6, 2, 2, n_hidden=5, n_tones=4)
TEMPERATURE = {"sentiment": 1.0, "emotion": 1.0, "doubt": 0.5}


def head() -> EmotionHead:
    torch.manual_seed(0)
    made = EmotionHead(DIMS)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made.eval()


@torch.inference_mode()
def test_every_layer_and_tone_counts() -> None:
    one, layers, tones = head(), torch.randn(1, 3, 2, 6), torch.randn(1, 4)
    whole = one.utterance(layers, tones)
    assert whole.shape == (1, DIMS.n_utterance)
    for layer in range(3):
        other = layers.clone()
        other[0, layer] += 1
        assert not torch.allclose(one.utterance(other, tones), whole)
    assert not torch.allclose(one.utterance(layers, tones + 1), whole)


@torch.inference_mode()
def test_both_views_and_what_is_known_count() -> None:
    one, utterance = head(), torch.randn(1, DIMS.n_utterance)
    nobody, known = torch.zeros(1, DIMS.n_utterance), torch.zeros(1)
    alone = one(utterance, nobody, known)[1]
    assert not torch.allclose(one(utterance, nobody + 0.5, known)[1], alone)
    assert not torch.allclose(one(utterance, nobody, known + 0.5)[1], alone)
    assert not torch.allclose(one(utterance + 0.5, nobody + 0.5, known)[1], alone)


def test_statistics_are_of_what_holds_sound() -> None:
    states = [torch.randn(2, 9, 6) for _ in range(3)]
    found = statistics(states, torch.tensor([9, 4]))
    assert found.shape == (2, 3, 2, 6)
    kept = states[1][1, :4].numpy()
    np.testing.assert_allclose(found[1, 1, 0], kept.mean(0), atol=1e-5)
    np.testing.assert_allclose(found[1, 1, 1], kept.std(0), atol=1e-3)


def test_a_speakers_mean_is_drawn_to_everybodys() -> None:
    ones = Sound(np.zeros(3, np.float32), np.ones(3, np.float32), Quality())
    speaker = Speaker()
    assert speaker.known == 0 and not speaker.mean(3).any()
    for n in (1, 2, 3):
        speaker = speaker.after(ones)
        assert speaker.known == pytest.approx(float(known_of(torch.tensor([float(n)]))))
        np.testing.assert_allclose(speaker.mean(3), speaker.known)
    assert Speaker().known == 0  # nothing that was added changed another


def test_doubt_makes_even() -> None:
    doubt = doubt_of(torch.tensor([40.0, 25.0, 10.0, 0.0, -5.0]))
    assert doubt[:2].tolist() == [0, 0] and doubt[3] == 1 and doubt.tolist() == sorted(doubt)
    sentiment, emotions = torch.randn(1, 3).repeat(5, 1), torch.randn(1, 7).repeat(5, 1)
    for said in calibrated(sentiment, emotions, doubt, TEMPERATURE):
        sure = said.exp().amax(1).tolist()
        assert sure == sorted(sure, reverse=True) and sure[0] == sure[1] > sure[2] > sure[4]
        torch.testing.assert_close(said.exp().sum(1), torch.ones(5))


def test_both_heads_speak_of_the_sentiment() -> None:
    even, angry = torch.zeros(1, 3), torch.tensor([[0.0, 0, 4, 0, 0, 0, 0]])
    assert pooled_sentiment(even, angry).argmax() == 2
    assert pooled_sentiment(torch.tensor([[9.0, 0, 0]]), angry).argmax() == 0


def test_a_telephone_has_no_highs() -> None:
    noise = torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    spectrum = torch.fft.rfft(noise)
    spectrum[4_000:] = 0
    assert highs_db(noise) == pytest.approx(0, abs=0.5)
    assert highs_db(torch.fft.irfft(spectrum)) < -60
