"""What a text model starts from: nothing, a checkpoint of ours, or a published encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

import weights
from modalities import checkpoint
from modalities.errors import InputError, UnavailableError
from modalities.text.model import TextDimensions, TextModel, without_pooler
from training.options import is_published
from training.pretrain import pretrain

N_VOCAB = 10_000
N_CTX = 128
N_BUCKETS = 1 << 19
EMOJI = r"[\x{1F000}-\x{1FAFF}\x{2600}-\x{27BF}\x{2B00}-\x{2BFF}]"
# Families whose first position is the one after the padding's own.
COUNT_FROM_PADDING = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert")


def start(
    base: str | None, texts: Sequence[str], run_dir: Path, pretraining_epochs: int, seed: int
) -> tuple[TextModel, Tokenizer]:
    """The model to train and its tokenizer.

    base   None: a tokenizer and a BERT pre-trained on `texts`; "embedded" or the file of one of
           our checkpoints; else the name or folder of an encoder as transformers saves it

    Raises UnavailableError where it cannot be read or fetched, InputError where it is no encoder
    with a fast tokenizer.
    """
    if base is None:
        return _scratch(texts, run_dir, pretraining_epochs, seed)
    if is_published(base):
        return _published(base, seed)
    saved = checkpoint.load(weights.path_of("text") if base == "embedded" else Path(base))
    model = TextModel(TextDimensions(**saved.dims))
    model.load_state_dict(saved.state)
    return model, Tokenizer.from_str(saved.extra["tokenizer"])


def train_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """WordPiece; Chinese characters and emoji each stand alone, so that none hides in [UNK]."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.BertNormalizer(strip_accents=False)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Split(Regex(EMOJI), "isolated")]
    )
    tokenizer.train_from_iterator(
        texts,
        trainers.WordPieceTrainer(
            vocab_size=N_VOCAB,
            min_frequency=3,
            limit_alphabet=5500,
            special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def _scratch(
    texts: Sequence[str], run_dir: Path, epochs: int, seed: int
) -> tuple[TextModel, Tokenizer]:
    run_dir.mkdir(parents=True, exist_ok=True)
    tokenizer_file = run_dir / "tokenizer.json"
    if not tokenizer_file.exists():
        train_tokenizer(texts).save(str(tokenizer_file))
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=256,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=N_CTX,
        type_vocab_size=1,
        # A few passes over the texts leave nothing to overfit.
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(seed)
    encoder = BertModel(config, add_pooling_layer=False)
    pretrain(encoder, tokenizer, texts, N_CTX, epochs, seed, run_dir / "pretrain")
    config.hidden_dropout_prob = 0.1
    dims = TextDimensions(config.to_diff_dict(), N_CTX, 0, 1, N_BUCKETS)
    torch.manual_seed(seed)
    model = TextModel(dims)
    model.encoder.load_state_dict(encoder.state_dict())
    return model, tokenizer


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
    dims = TextDimensions(settings, min(N_CTX, positions), fast.pad_token_id, unk_id, N_BUCKETS)
    tokenizer = Tokenizer.from_str(fast.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    torch.manual_seed(seed)
    model = TextModel(dims)
    model.encoder.load_state_dict(without_pooler(encoder).state_dict())
    return model, tokenizer
