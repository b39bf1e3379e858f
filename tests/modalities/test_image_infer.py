from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import weights
from modalities import checkpoint
from modalities.errors import UnavailableError
from modalities.image.infer import Calibration, VisionItem, VisionReader
from modalities.image.model import SIZE, VisionModel, embedded_dimensions
from modalities.reading import EMOTIONS, SENTIMENTS, Quality, Source

CALIBRATION = {
    "temperature": {
        "sentiment": {"no_face": 4.0, "face": 0.8},
        "emotion": {"no_face": 3.0, "face": 0.9},
    },
    "prior_shift": {"sentiment": [0.3, 0.0, -0.2], "emotion": [0.1, 0.4, 0, 0, 0, -0.7, 0]},
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> VisionReader:
    """The embedded weights where they are built, else untrained ones of the same dimensions."""
    path = weights.path_of("image")
    if not path.exists():
        path = tmp_path_factory.mktemp("weights") / "image.safetensors"
        torch.manual_seed(0)
        dims = embedded_dimensions()
        checkpoint.save(path, dims, VisionModel(dims).state_dict(), calibration=CALIBRATION)
    return VisionReader.load(path)


def items(n: int, seed: int = 0) -> list[VisionItem]:
    rng = np.random.default_rng(seed)
    return [
        VisionItem(
            rng.integers(0, 40 + 12 * index, (SIZE, SIZE, 3)).astype(np.uint8),
            Quality(face=float(index % 2), sharpness=0.5),
        )
        for index in range(n)
    ]


def test_readings_are_distributions(reader: VisionReader) -> None:
    for item, reading in zip(items(4), reader.infer(items(4)), strict=True):
        assert reading.source is Source.VISION
        assert reading.log_sentiment.shape == (len(SENTIMENTS),)
        assert reading.log_emotions.shape == (len(EMOTIONS),)
        assert np.exp(reading.log_sentiment).sum() == pytest.approx(1, abs=1e-5)
        assert np.exp(reading.log_emotions).sum() == pytest.approx(1, abs=1e-5)
        assert reading.embedding.shape == (1024,)
        assert reading.quality == item.quality


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_an_answer_does_not_depend_on_its_batch(
    reader: VisionReader, precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = items(16)
    exact = [reader.infer([item])[0] for item in batch]
    monkeypatch.setattr(reader.model, "precision", precision)
    for alone, reading in zip(exact, reader.infer(batch), strict=True):
        for name in ("log_sentiment", "log_emotions"):
            difference = np.exp(getattr(alone, name)) - np.exp(getattr(reading, name))
            assert np.abs(difference).max() <= (1e-4 if precision == torch.float32 else 2e-2)


def test_light_and_contrast_change_nothing(reader: VisionReader) -> None:
    pixels = items(8)[7].pixels // 2
    dim = VisionItem(pixels, Quality(face=1.0))
    bright = VisionItem(pixels * 2 + 3, Quality(face=1.0))
    first, second = reader.infer([dim, bright])
    assert np.abs(first.log_emotions - second.log_emotions).max() < 1e-2


def test_a_picture_and_its_mirror_image_are_read_alike(reader: VisionReader) -> None:
    item = items(4)[3]
    mirrored = VisionItem(np.ascontiguousarray(item.pixels[:, ::-1]), item.quality)
    first, second = reader.infer([item, mirrored])
    assert np.abs(first.log_emotions - second.log_emotions).max() < 1e-4


def test_cost_is_in_pixels(reader: VisionReader) -> None:
    assert reader.cost(items(1)[0]) == SIZE**2
    assert reader.max_batch_cost >= reader.cost(items(1)[0])


def test_calibration_of_faces_and_pictures_is_apart() -> None:
    calibration = Calibration(**CALIBRATION)  # type: ignore[arg-type]
    logits = torch.tensor([[2.0, 0.0, -1.0]]).repeat(2, 1)
    answer = calibration.log_probabilities("sentiment", logits, torch.tensor([True, False]))
    face = (logits[0] + torch.tensor([0.3, 0.0, -0.2])) / 0.8
    assert torch.allclose(answer[0], face.log_softmax(-1))
    assert torch.allclose(answer[1], (logits[1] / 4.0).log_softmax(-1))


def test_no_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as error:
        VisionReader.load(tmp_path / "none.safetensors")
    assert error.value.remedy
