"""The text recipe on a handful of rows: every kind of base, and what is served of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    BertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

from modalities import checkpoint
from modalities.errors import InputError, UnavailableError
from modalities.text.infer import TextReader
from modalities.text.model import TextDimensions, TextModel, pad
from training import adapt, text, text_base
from training.calibrate import fit_pool
from training.options import Options
from training.rows import Row

PHRASES = {
    ("happy", "positive"): ("what a lovely day", "thank you so much", "真是太好了", "我很开心"),
    ("angry", "negative"): ("this is an outrage", "i want a refund", "太气人了", "你们骗人"),
}
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}
CONFIGS: dict[str, Callable[..., object]] = {
    "bert": BertConfig,
    "roberta": RobertaConfig,
    "xlm-roberta": XLMRobertaConfig,
}


def rows(data_set: str = "tiny", *, emotions: bool = True) -> list[Row]:
    made = []
    for number in range(12):
        for (emotion, sentiment), phrases in PHRASES.items():
            content = f"{phrases[number % 4]} {number}"
            split = "dev" if number >= 8 else "train"
            label = emotion if emotions else sentiment
            kept = emotion if emotions else None
            made.append(Row(data_set, content, split, label, kept, sentiment))
    return made


def tokenizer_of(kind: str, texts: list[str]) -> Tokenizer:
    """A small tokenizer of the family's own kind: WordPiece, byte-level BPE or unigrams."""
    if kind == "bert":
        return text_base.train_tokenizer(texts * 3)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    if kind == "roberta":
        made = Tokenizer(models.BPE(unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
    else:
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False
        )
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(text_base, "N_BUCKETS", 1 << 12)
    monkeypatch.setattr(text_base, "N_VOCAB", 300)


@pytest.fixture(params=list(CONFIGS))
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder as transformers saves an encoder and its tokenizer, with random weights."""
    kind, folder = request.param, tmp_path / request.param
    tokenizer = tokenizer_of(kind, [row.content for row in rows()])
    names = (
        {"pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}
        if kind == "bert"
        else {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    torch.manual_seed(0)
    config = CONFIGS[kind](vocab_size=len(fast), pad_token_id=fast.pad_token_id, **SIZES)
    AutoModel.from_config(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def test_a_published_encoder_gives_the_librarys_own_hidden_states(published: Path) -> None:
    model, tokenizer = text_base.start(str(published), [], published, 0, 0)
    theirs = AutoModel.from_pretrained(published).eval()
    fast = PreTrainedTokenizerFast.from_pretrained(published)
    texts = ["thank you so much", "太气人了"]
    expected_ids = fast(texts, padding=True, return_tensors="pt")
    ids, mask = pad([tuple(tokenizer.encode(one).ids) for one in texts], model.dims.pad_id)
    assert torch.equal(ids, expected_ids["input_ids"])
    with torch.inference_mode():
        ours = model.eval().encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        expected = theirs(
            input_ids=ids, attention_mask=expected_ids["attention_mask"]
        ).last_hidden_state
        # The longest window the model may be given.
        full = torch.full((1, model.dims.n_ctx), 5)
        model.encoder(input_ids=full, attention_mask=torch.ones_like(full))
    assert torch.equal(ours[mask.bool()], expected[mask.bool()])


def test_a_published_encoder_is_trained_and_served_from_one_file(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.safetensors"
    text.train(rows(), tmp_path / "run", out, Options(base=str(published), epochs=1))
    reader = TextReader.load(out)
    texts = ["好", "thank you so much, it is lovely " * 5, "zzz"]
    prepared = [reader.prepare(one) for one in texts]
    assert len(prepared[1].windows) > 1
    for item, together in zip(prepared, reader.infer(prepared), strict=True):
        (alone,) = reader.infer([item])
        assert np.exp(alone.log_emotions) == pytest.approx(np.exp(together.log_emotions), abs=1e-4)
        assert alone.embedding.shape == (64,)


def test_from_scratch_it_learns_and_starts_a_second_training(tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    text.train(rows(), tmp_path / "a", first, Options(epochs=1))
    told = text.predict(first, rows())
    assert (told[0].argmax(-1) == np.tile([0, 2], 12)).all()
    # Without emotions among the labels nothing reaches the emotion head.
    again = Options(base=str(first), epochs=1)
    text.train(rows("reviews", emotions=False), tmp_path / "b", second, again)
    before, after = checkpoint.load(first), checkpoint.load(second)
    assert after.extra["tokenizer"] == before.extra["tokenizer"]
    for name, resting in (
        ("emotion_head.weight", True),
        ("emotion_head.bias", True),
        ("sentiment_head.weight", False),
    ):
        assert torch.equal(before.state[name], after.state[name]) is resting
    tables = [saved.state["wide.table.weight"] for saved in (before, after)]
    assert torch.equal(tables[0][:, 3:], tables[1][:, 3:])
    assert not torch.equal(tables[0][:, :3], tables[1][:, :3])


def test_adapters_train_a_small_share_of_both_paths_and_are_folded_in(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt, "WIDE_ROWS", 20)
    out = tmp_path / "out.safetensors"
    text.train(rows(), tmp_path / "run", out, Options(base=str(published), peft="lora", epochs=1))
    saved = checkpoint.load(out)
    model = TextModel(TextDimensions(**saved.dims))
    assert saved.state.keys() == model.state_dict().keys()
    assert saved.state["wide.table.weight"].any(1).sum() == 20
    plain = sum(p.numel() for p in model.parameters())
    heads = sum(p.numel() for n, p in model.named_parameters() if "head" in n)
    lora = sum(  # A and B of each linear layer
        adapt.RANK * sum(p.shape)
        for n, p in model.encoder.named_parameters()
        if ".layer." in n and p.ndim == 2
    )
    trained = lora + (20 + 1) * 10  # the other buckets' row
    assert saved.extra["recipe"]["trained_share"] == pytest.approx(
        (trained + heads) / (plain + trained)
    )
    text.predict(out, rows())


@pytest.mark.parametrize("kind", ["lora", "adalora"])
def test_a_killed_training_with_adapters_ends_as_an_unbroken_one(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base.safetensors"
    text.train(rows(), tmp_path / "base", base, Options(epochs=1))
    options = Options(base=str(base), peft=kind, epochs=4)
    unbroken, resumed = tmp_path / "unbroken.safetensors", tmp_path / "resumed.safetensors"
    text.train(rows(), tmp_path / "unbroken", unbroken, options)
    figure, calls = text.dev_figure, iter(range(3))

    def killed(*given: Any) -> float:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return figure(*given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(text, "dev_figure", killed)
        text.train(rows(), tmp_path / "resumed", resumed, options)
    assert not resumed.exists()
    text.train(rows(), tmp_path / "resumed", resumed, options)
    assert resumed.read_bytes() == unbroken.read_bytes()
    table = "wide.table.weight"
    assert not torch.equal(
        checkpoint.load(base).state[table], checkpoint.load(resumed).state[table]
    )


def test_a_base_that_is_not_there_and_rows_without_labels(tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises(UnavailableError) as error:
        text.train(rows(), tmp_path / "run", out, Options(base=str(tmp_path / "none")))
    assert "hf download" in error.value.remedy
    unlabelled = [Row("tiny", "hm", split, "other") for split in ("train", "dev")]
    base, _ = (
        tmp_path / "a.safetensors",
        text.train(rows(), tmp_path / "a", tmp_path / "a.safetensors", Options(epochs=1)),
    )
    with pytest.raises(InputError):
        text.train(unlabelled, tmp_path / "b", out, Options(base=str(base)))
    assert not out.exists()


def test_the_pool_trusts_the_better_expert_and_stays_finite() -> None:
    torch.manual_seed(0)
    target = torch.randint(0, 3, (400,))
    good = 2 * torch.nn.functional.one_hot(target, 3) + torch.randn(400, 3)
    noise = torch.randn(400, 3)
    weight = fit_pool(torch.stack([good, noise]), target, torch.ones(400))
    assert weight[0] > 5 * weight[1]
    # Rows that count for nothing change nothing.
    spoilt = torch.cat([target, (target + 1) % 3])
    counts = torch.cat([torch.ones(400), torch.zeros(400)])
    twice = torch.stack([good, noise]).repeat(1, 2, 1)
    assert torch.allclose(fit_pool(twice, spoilt, counts), weight, atol=1e-6)
    sure = 9.0 * torch.eye(3).unsqueeze(0)  # all three rows right: no finite maximum likelihood
    assert fit_pool(sure, torch.arange(3), torch.ones(3)).isfinite().all()
