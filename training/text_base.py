"""What a text model starts from: multilingual E5, a checkpoint of ours, or a published encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

import weights
from modalities import checkpoint
from modalities.errors import InputError, UnavailableError
from modalities.text.model import TextDimensions, TextModel, without_pooler
from training import e5, vocabulary
from training.options import is_published

N_CTX = 128
# Families whose first position is the one after the padding's own.
COUNT_FROM_PADDING = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert")


def start(base: str | None, seed: int) -> tuple[TextModel, Tokenizer]:
    """The model to train and its tokenizer.

    base   None: multilingual E5, its vocabulary cut (`training.vocabulary`); "embedded" or the file
           of one of our checkpoints; else the name or folder of an encoder as transformers saves it

    Raises UnavailableError where it cannot be read or fetched, InputError where it is no encoder
    with a fast tokenizer.
    """
    if base is None:
        return _multilingual(seed)
    if is_published(base):
        return _published(base, seed)
    saved = checkpoint.load(weights.path_of("text") if base == "embedded" else Path(base))
    model = TextModel(TextDimensions(**saved.dims))
    model.load_state_dict(saved.state)
    return model, Tokenizer.from_str(saved.extra["tokenizer"])


def _multilingual(seed: int) -> tuple[TextModel, Tokenizer]:
    base = e5.read(e5.fetch())
    table = base.state["embeddings.word_embeddings.weight"]
    frame = (base.cls_id, base.sep_id, base.unk_id)

    def tokenizer_of(pieces: Sequence[str], scores: Sequence[float]) -> Tokenizer:
        return vocabulary.tokenizer_of(
            pieces, scores, *(pieces.index(base.pieces[i]) for i in frame)
        )

    whole = tokenizer_of(base.pieces, base.scores.tolist())
    kept = vocabulary.kept_pieces(len(base.pieces))
    pieces, scores = [base.pieces[i] for i in kept], [float(base.scores[i]) for i in kept]
    rows = [table[kept]]
    for emoji, name in vocabulary.lacking_emoji(pieces):
        pieces.append(emoji)
        scores.append(vocabulary.EMOJI_SCORE)
        rows.append(table[whole.encode(name).ids[1:-1]].mean(0, keepdim=True))
    state = {**base.state, "embeddings.word_embeddings.weight": torch.cat(rows)}
    config = {
        **base.config,
        "vocab_size": len(pieces),
        "pad_token_id": pieces.index(base.pieces[base.config["pad_token_id"]]),
        # The heads keep theirs; few rows come often enough to be learned by heart.
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    unk_id = pieces.index(base.pieces[base.unk_id])
    model = _with_markers(config, state, N_CTX, config["pad_token_id"], unk_id, seed)
    return model, tokenizer_of(pieces, scores)


def _published(base: str, seed: int) -> tuple[TextModel, Tokenizer]:
    try:
        fast = AutoTokenizer.from_pretrained(base, use_fast=True, trust_remote_code=False)
        encoder, report = AutoModel.from_pretrained(
            base, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"{base} cannot be fetched or read ({type(error).__name__})",
            f"on a networked machine: hf download {base} --local-dir DIR, then --base DIR",
        ) from error
    if lacking := [name for name in report["missing_keys"] if not name.startswith("pooler.")]:
        raise UnavailableError(
            f"{base} has no weights for {len(lacking)} tensors, such as {sorted(lacking)[0]}",
            "name a checkpoint of this architecture",
        )
    if not fast.is_fast or fast.pad_token_id is None or fast.num_special_tokens_to_add() != 2:
        raise InputError(f"{base} has no fast tokenizer that frames a text as BERT's does", "base")
    config = encoder.config
    positions = config.max_position_embeddings
    if config.model_type in COUNT_FROM_PADDING:
        positions -= fast.pad_token_id + 1
    settings = config.to_diff_dict()
    for name in ("_name_or_path", "architectures", "auto_map", "dtype", "transformers_version"):
        settings.pop(name, None)
    unk_id = -1 if fast.unk_token_id is None else fast.unk_token_id
    tokenizer = Tokenizer.from_str(fast.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    state = without_pooler(encoder).state_dict()
    n_ctx = min(N_CTX, positions)
    return _with_markers(settings, state, n_ctx, fast.pad_token_id, unk_id, seed), tokenizer


def _with_markers(
    config: dict[str, Any],
    state: dict[str, Tensor],
    n_ctx: int,
    pad_id: int,
    unk_id: int,
    seed: int,
) -> TextModel:
    """The encoder of `config` and `state` with two tokens more, the markers of turns before."""
    (table,) = (name for name in state if name.endswith("word_embeddings.weight"))
    words = state[table]
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(2, words.shape[1], generator=generator) * words.std()
    n = len(words)
    dims = TextDimensions(
        config | {"vocab_size": n + 2}, n_ctx, pad_id, unk_id, same_id=n, other_id=n + 1
    )
    torch.manual_seed(seed)  # the heads start at random
    model = TextModel(dims)
    model.encoder.load_state_dict({**state, table: torch.cat([words, rows])})
    return model


def layers_of(encoder: nn.Module) -> list[nn.Module]:
    """The layers of one of transformers' encoders, the lowest first."""
    config: Any = encoder.config
    return list(
        next(
            part
            for part in encoder.modules()
            if isinstance(part, nn.ModuleList) and len(part) == config.num_hidden_layers
        )
    )
