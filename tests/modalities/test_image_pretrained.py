"""Published models by folder: small random ones of the true format, written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import (
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from modalities.errors import UnavailableError
from modalities.image.infer import VisionItem
from modalities.image.kinds import ImageKind
from modalities.image.pretrained import PROMPTS, PretrainedVisionReader
from modalities.reading import EMOTIONS, SENTIMENTS, Quality, Source
from server.models import _our_label

TINY = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
TINY |= {"num_attention_heads": 2}
SIZE = 32
EIGHT = {0: "Angry", 1: "Contempt", 2: "disgust", 3: "fear", 4: "happiness", 5: "Neutral",
         6: "sadness", 7: "surprise"}  # fmt: skip


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("siglip")
    tokenizer = Tokenizer(BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = ByteLevel()
    texts = [prompt for both in PROMPTS.values() for prompt in both]
    tokenizer.train_from_iterator(
        texts, BpeTrainer(special_tokens=["<pad>", "</s>", "<unk>"], vocab_size=300)
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = SiglipConfig(
        text_config={**TINY, "vocab_size": 300, "projection_size": 32},
        vision_config={**TINY, "image_size": SIZE, "patch_size": 16},
    )
    SiglipModel(config).save_pretrained(folder)
    SiglipImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    return folder


def classifier(folder: Path, labels: dict[int, str]) -> Path:
    torch.manual_seed(1)
    config = ViTConfig(**TINY, image_size=SIZE, patch_size=16, num_labels=len(labels))
    config.id2label, config.label2id = labels, {label: i for i, label in labels.items()}
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    return folder


def items(n: int) -> list[VisionItem]:
    rng = np.random.default_rng(0)
    return [
        VisionItem(rng.integers(0, 255, (SIZE, SIZE, 3), np.uint8), Quality(sharpness=0.5))
        for _ in range(n)
    ]


def check(reader: PretrainedVisionReader) -> None:
    batch = items(3)
    for item, reading in zip(batch, reader.infer(batch), strict=True):
        assert reading.source is Source.VISION
        assert reading.quality == item.quality
        assert np.exp(reading.log_emotions).sum() == pytest.approx(1, abs=1e-4)
        assert np.exp(reading.log_sentiment).sum() == pytest.approx(1, abs=1e-4)
        (alone,) = reader.infer([item])
        assert np.abs(alone.log_emotions - reading.log_emotions).max() < 1e-4
    assert reader.size == SIZE
    assert len(reader.revision) == 12
    assert reader.knows(ImageKind.PHOTO, items(1)[0])


def test_siglip_reads_by_our_prompts(siglip: Path) -> None:
    reader = PretrainedVisionReader(str(siglip), "cpu", _our_label)
    check(reader)
    # The library's own answer to the same picture and prompts.
    fast = PreTrainedTokenizerFast.from_pretrained(siglip)
    texts = [prompt for emotion in EMOTIONS for prompt in PROMPTS[emotion]]
    ids = fast(texts, padding="max_length", truncation=True, max_length=64, return_tensors="pt")
    item = items(1)[0]
    pixels = (torch.from_numpy(item.pixels).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        model = SiglipModel.from_pretrained(siglip).eval()
        logits = model(input_ids=ids["input_ids"], pixel_values=pixels).logits_per_image
    expected = logits.view(len(EMOTIONS), -1).mean(-1).softmax(-1)
    (reading,) = reader.infer([item])
    assert np.exp(reading.log_emotions) == pytest.approx(expected.numpy(), abs=1e-4)


def test_a_classifier_with_emotions(tmp_path: Path) -> None:
    reader = PretrainedVisionReader(str(classifier(tmp_path, EIGHT)), "cpu", _our_label)
    check(reader)
    item = items(1)[0]
    pixels = (torch.from_numpy(item.pixels).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        model = ViTForImageClassification.from_pretrained(tmp_path).eval()
        known = model(pixel_values=pixels).logits.softmax(-1)[0]
    known = known.clone()
    known[1] = 0  # contempt is none of ours
    known = known / known.sum()
    (reading,) = reader.infer([item])
    found = dict(zip(EMOTIONS, np.exp(reading.log_emotions), strict=True))
    assert found["happy"] == pytest.approx(float(known[4]), abs=1e-4)
    assert found["angry"] == pytest.approx(float(known[0]), abs=1e-4)


def test_a_classifier_with_sentiments(tmp_path: Path) -> None:
    labels = {0: "negative", 1: "positive"}
    reader = PretrainedVisionReader(str(classifier(tmp_path, labels)), "cpu", _our_label)
    (reading,) = reader.infer(items(1))
    found = dict(zip(SENTIMENTS, np.exp(reading.log_sentiment), strict=True))
    assert found["neutral"] < 1e-4
    assert found["negative"] > 0.01


def test_labels_that_say_nothing_are_refused(tmp_path: Path) -> None:
    folder = classifier(tmp_path, {0: "tabby cat", 1: "golden retriever"})
    with pytest.raises(UnavailableError, match="no label"):
        PretrainedVisionReader(str(folder), "cpu", _our_label)


def test_what_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as error:
        PretrainedVisionReader("google/siglip-base-patch16-224", "cpu", _our_label)
    assert "hf download" in error.value.remedy
    with pytest.raises(UnavailableError):
        PretrainedVisionReader(str(tmp_path), "cpu", _our_label)


def test_a_model_without_its_head_is_refused(tmp_path: Path) -> None:
    folder = classifier(tmp_path, EIGHT)
    ViTForImageClassification.from_pretrained(folder).vit.save_pretrained(folder)
    with pytest.raises(UnavailableError, match="lacks"):
        PretrainedVisionReader(str(folder), "cpu", _our_label)
