"""Published encoders to start from, small and with random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tokenizers import (
    BertWordPieceTokenizer,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AutoModel,
    BertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

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


def publish(folder: Path, kind: str, texts: Sequence[str]) -> Path:
    """Write a folder as transformers saves an encoder and its tokenizer; returns it."""
    tokenizer = tokenizer_of(kind, texts)
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


def tokenizer_of(kind: str, texts: Sequence[str]) -> Tokenizer:
    """A small tokenizer of the family's own kind: WordPiece, byte-level BPE or unigrams."""
    if kind == "bert":
        pieces = BertWordPieceTokenizer()
        pieces.train_from_iterator(texts, vocab_size=300, min_frequency=1, show_progress=False)
        frame = [(token, pieces.token_to_id(token)) for token in ("[SEP]", "[CLS]")]
        made: Tokenizer = pieces._tokenizer
        made.post_processor = processors.BertProcessing(*frame)
        return made
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
