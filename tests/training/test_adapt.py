"""Freezing, LoRA and AdaLoRA on the encoders that are fine-tuned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, ResNetConfig, ResNetModel, ViTConfig, ViTModel
from whisper.model import AudioEncoder

from modalities.errors import InputError
from modalities.voice.states import encode
from training.adapt import RANK, adapt, merged, trained_share
from training.loop import Recipe, fit
from training.options import Options

STEPS = 20
Case = tuple[nn.Module, list[nn.Module], list[nn.Module], Callable[[nn.Module], Tensor]]


def bert() -> Case:
    model = BertModel(
        BertConfig(
            vocab_size=50, hidden_size=32, num_hidden_layers=3, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=16,
        ),
        add_pooling_layer=False,
    )  # fmt: skip
    ids = torch.randint(0, 50, (8, 6), generator=torch.Generator().manual_seed(0))
    return (
        model,
        list(model.encoder.layer),
        [model.embeddings],
        lambda encoder: encoder(input_ids=ids).last_hidden_state.mean(1),
    )


def vit() -> Case:
    model = ViTModel(
        ViTConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            image_size=16, patch_size=8,
        ),
        add_pooling_layer=False,
    )  # fmt: skip
    pixels = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return (
        model,
        list(model.layers),
        [model.embeddings],
        lambda encoder: encoder(pixels).last_hidden_state.mean(1),
    )


def whisper() -> Case:
    audio = AudioEncoder(8, 10, 32, 2, 2)
    mel = torch.randn(8, 8, 20, generator=torch.Generator().manual_seed(0))

    def run(encoder: nn.Module) -> Tensor:
        return encode(encoder, mel, torch.full((8,), 20))[0][-1].mean(1)

    return audio, list(audio.blocks), [audio.conv1, audio.conv2], run


CASES = pytest.mark.parametrize("make", [bert, vit, whisper])
KINDS = pytest.mark.parametrize("kind", ["lora", "adalora"])


class Classifier(nn.Module):
    """An adapted encoder and a head, as the recipes have them."""

    def __init__(self, case: Case, options: Options, total_steps: int = STEPS) -> None:
        super().__init__()
        encoder, layers, embeddings, self.run = case
        self.encoder = adapt(encoder, layers, embeddings, options, total_steps)
        with torch.no_grad():
            self.head = nn.Linear(self.run(self.encoder).shape[1], 2)

    def forward(self) -> Tensor:
        return self.head(self.run(self.encoder))


def train(model: Classifier, run_dir: Path, kill_in_epoch: int | None = None) -> None:
    target = torch.arange(8) % 2

    def batches(epoch: int) -> Any:
        for step in range(STEPS // 4):
            if epoch == kill_in_epoch and step == 2:
                raise KeyboardInterrupt
            yield step

    fit(
        model,
        batches=batches,
        steps_per_epoch=STEPS // 4,
        loss=lambda _: nn.functional.cross_entropy(model(), target),
        validate=lambda: -nn.functional.cross_entropy(model(), target).item(),
        recipe=Recipe(epochs=4, learning_rate=5e-2),
        run_dir=run_dir,
    )


@CASES
@KINDS
def test_adapters_alone_train_and_fold_into_the_encoder(
    make: Callable[[], Case], kind: Any, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    case = make()
    plain = {name: value.clone() for name, value in case[0].state_dict().items()}
    n_linear = sum(isinstance(m, nn.Linear) for layer in case[1] for m in layer.modules())
    model = Classifier(case, Options(peft=kind))
    trained = {name for name, p in model.encoder.named_parameters() if p.requires_grad}
    assert trained and all("lora_" in name for name in trained)
    assert len(trained) == n_linear * {"lora": 2, "adalora": 3}[kind]
    train(model, tmp_path)
    answer = model().detach()
    model.encoder = merged(model.encoder)
    folded = model.encoder.state_dict()
    assert folded.keys() == plain.keys()  # nothing of peft is left
    assert any(not torch.equal(folded[name], plain[name]) for name in plain)
    torch.testing.assert_close(model(), answer, atol=1e-5, rtol=1e-4)


def test_frozen_layers_stay_as_they_are(tmp_path: Path) -> None:
    case = bert()
    _, layers, embeddings, _ = case
    frozen = nn.ModuleList([*embeddings, *layers[:2]])
    before = [p.clone() for p in frozen.parameters()]
    top = next(layers[2].parameters()).clone()
    model = Classifier(case, Options(freeze=2))
    train(model, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(before, frozen.parameters(), strict=True))
    assert not torch.equal(top, next(layers[2].parameters()))
    n_frozen = sum(p.numel() for p in before)
    n_all = sum(p.numel() for p in model.parameters())
    assert trained_share(model) == pytest.approx(1 - n_frozen / n_all)


def test_a_frozen_stage_of_a_resnet_keeps_its_statistics(tmp_path: Path) -> None:
    torch.manual_seed(0)
    resnet = ResNetModel(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    )
    pixels = torch.randn(8, 3, 32, 32)
    stages = list(resnet.encoder.stages)
    model = Classifier(
        (resnet, stages, [resnet.embedder], lambda e: e(pixels).pooler_output.flatten(1)),
        Options(freeze=1),
    )
    before = {name: value.clone() for name, value in stages[0].state_dict().items()}
    moving = {name: value.clone() for name, value in stages[1].state_dict().items()}
    train(model, tmp_path)
    assert all(torch.equal(before[n], v) for n, v in stages[0].state_dict().items())
    assert any(not torch.equal(moving[n], v) for n, v in stages[1].state_dict().items())


def test_adapters_go_into_the_layers_that_are_not_frozen() -> None:
    model = Classifier(bert(), Options(peft="lora", freeze=2))
    adapted = {name.split("lora_")[0] for name, _ in model.named_parameters() if "lora_" in name}
    assert len(adapted) == 6 and all(".layer.2." in name for name in adapted)


def test_adalora_cuts_ranks_to_its_budget(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Classifier(bert(), Options(peft="adalora"))
    train(model, tmp_path)
    values = [p for name, p in model.named_parameters() if "lora_E" in name]
    kept = sum(int((p != 0).sum()) for p in values)
    assert kept <= RANK * len(values) < sum(p.numel() for p in values)


@KINDS
def test_a_killed_run_with_adapters_ends_as_an_unbroken_one(kind: Any, tmp_path: Path) -> None:
    states = []
    for name, kill_in_epoch in (("unbroken", None), ("killed", 2)):
        torch.manual_seed(0)
        model = Classifier(bert(), Options(peft=kind))
        if kill_in_epoch is not None:
            with pytest.raises(KeyboardInterrupt):
                train(model, tmp_path / name, kill_in_epoch)
            torch.manual_seed(0)
            model = Classifier(bert(), Options(peft=kind))
        train(model, tmp_path / name)
        states.append(model.state_dict())
    unbroken, resumed = states
    assert unbroken.keys() == resumed.keys()
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


def test_bert_of_the_published_size_trains_under_three_percent() -> None:
    with torch.device("meta"):
        model = BertModel(BertConfig(), add_pooling_layer=False)
        wrapped = adapt(model, model.encoder.layer, [model.embeddings], Options(peft="lora"), 100)
    assert 0.005 < trained_share(wrapped) < 0.03


@pytest.mark.parametrize(
    ("options", "field"),
    [(Options(freeze=4), "freeze"), (Options(freeze=3, peft="lora"), "peft")],
)
def test_what_cannot_be_done_is_named(options: Options, field: str) -> None:
    with pytest.raises(InputError) as error:
        Classifier(bert(), options)
    assert error.value.field == field
