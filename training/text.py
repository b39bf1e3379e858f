"""The text recipe: a tokenizer and a small BERT, multi-task over the text sets.

Every set teaches the heads it has labels for: an emotion through a softmax over the classes
that the set can hold (EWECT has no disgust: it must not teach that nothing is), a sentiment
through all three.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import f1_score
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from torch.nn import functional as F

from fusion.labels import emotion_of, held_emotions, sentiment_of
from modalities import checkpoint
from modalities.reading import EMOTIONS, SENTIMENTS
from modalities.text.infer import TextReader
from modalities.text.model import TextDimensions, TextModel, pad
from modalities.text.prepare import prepare
from training.calibrate import fit_temperature
from training.data import text_rows
from training.loop import Recipe, fit

SETS = ("ewect", "weibo_moods", "cped", "goemotions", "meld", "shopping", "waimai", "airline")
N_VOCAB = 10_000
BATCH_TOKENS = 4096
EMOJI = r"[\x{1F000}-\x{1FAFF}\x{2600}-\x{27BF}\x{2B00}-\x{2BFF}]"


@dataclass(frozen=True)
class Example:
    window: tuple[int, ...]
    data_set: str
    emotion: int  # index in EMOTIONS, −1 where the row has none
    sentiment: int  # index in SENTIMENTS, −1 where the row has none


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


def examples(
    tokenizer: Tokenizer, n_ctx: int, split: str, sets: Sequence[str] = SETS
) -> list[Example]:
    """Labelled first windows of a split's rows."""
    made = []
    for name in sets:
        for row in text_rows(name):
            if row["split"] != split or not row["text"].strip():
                continue
            emotion = emotion_of(name, row["label"])
            sentiment = sentiment_of(name, row["label"], row.get("sentiment", ""))
            if emotion is None and sentiment is None:
                continue
            window = prepare(row["text"], tokenizer, n_ctx).windows[0]
            made.append(
                Example(
                    window,
                    name,
                    EMOTIONS.index(emotion) if emotion else -1,
                    SENTIMENTS.index(sentiment) if sentiment else -1,
                )
            )
    return made


def batches(items: Sequence[Example], seed: int) -> list[list[Example]]:
    """Batches of similar length and at most BATCH_TOKENS padded tokens, in random order."""
    rng = random.Random(seed)
    order = sorted(items, key=lambda item: len(item.window) + rng.random() * 4)
    made: list[list[Example]] = [[]]
    for item in order:
        if (len(made[-1]) + 1) * len(item.window) > BATCH_TOKENS:
            made.append([])
        made[-1].append(item)
    rng.shuffle(made)
    return made


ALLOWED = {name: torch.tensor(held_emotions(name)) for name in SETS}  # (7,) bool each


def loss(model: TextModel, batch: Sequence[Example]) -> Tensor:
    sentiment, emotions, _ = model(*pad([item.window for item in batch]))
    allowed = torch.stack([ALLOWED[item.data_set] for item in batch])  # (b, 7)
    emotion_target = torch.tensor([item.emotion for item in batch])  # (b,)
    sentiment_target = torch.tensor([item.sentiment for item in batch])
    has_any = allowed.any(-1, keepdim=True)
    emotions = emotions.masked_fill(~allowed & has_any, -1e4)
    # Sums over the batch's size, not over its labelled rows: a set counts by its rows.
    return (
        F.cross_entropy(emotions, emotion_target, ignore_index=-1, reduction="sum")
        + F.cross_entropy(sentiment, sentiment_target, ignore_index=-1, reduction="sum")
    ) / len(batch)


def logits(model: TextModel, items: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """(n, 3) sentiment and (n, 7) emotion logits, in the order of `items`."""
    order = sorted(range(len(items)), key=lambda i: len(items[i].window))
    sentiment, emotions = torch.empty(len(items), 3), torch.empty(len(items), len(EMOTIONS))
    with torch.inference_mode():
        for rows in _chunks(order, 128):
            s, e, _ = model(*pad([items[i].window for i in rows]))
            sentiment[rows], emotions[rows] = s, e
    return sentiment, emotions


def train(run_dir: Path, out: Path, epochs: int = 3, dims: TextDimensions | None = None) -> None:
    """Train on the `train` splits, choose and calibrate on `dev`, write the checkpoint `out`."""
    tokenizer_file = run_dir / "tokenizer.json"
    if tokenizer_file.exists():
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    else:
        run_dir.mkdir(parents=True, exist_ok=True)
        texts = [row["text"] for name in SETS for row in text_rows(name) if row["split"] == "train"]
        tokenizer = train_tokenizer(texts)
        tokenizer.save(str(tokenizer_file))
    dims = dims or TextDimensions(
        n_vocab=tokenizer.get_vocab_size(), n_ctx=96, n_state=160, n_head=4, n_layer=2
    )
    train_items = examples(tokenizer, dims.n_ctx, "train")
    dev_items = examples(tokenizer, dims.n_ctx, "dev")
    recipe = Recipe(epochs=epochs, learning_rate=1.5e-3, patience=2)
    torch.manual_seed(recipe.seed)
    model = TextModel(dims, dropout=0.1)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(train_items):,} rows")

    fit(
        model,
        batches=lambda epoch: batches(train_items, recipe.seed + epoch),
        steps_per_epoch=len(batches(train_items, recipe.seed)),
        loss=lambda batch: loss(model, batch),
        validate=lambda: dev_figure(model, dev_items),
        recipe=recipe,
        run_dir=run_dir,
    )
    sentiment, emotions = logits(model, dev_items)
    allowed = torch.stack([ALLOWED[item.data_set] for item in dev_items])
    temperature = {
        "sentiment": fit_temperature(
            sentiment, torch.tensor([item.sentiment for item in dev_items])
        ),
        "emotion": fit_temperature(
            emotions.masked_fill(~allowed, -1e4),
            torch.tensor([item.emotion for item in dev_items]),
        ),
    }
    checkpoint.save(
        out,
        dims,
        model.state_dict(),
        tokenizer=tokenizer.to_str(),
        temperature=temperature,
        recipe={"sets": SETS, "epochs": epochs, "seed": recipe.seed},
    )


def dev_figure(model: TextModel, items: Sequence[Example]) -> float:
    """Mean macro-F1 over the sets: emotions where a set has them, else sentiment."""
    sentiment, emotions = logits(model, items)
    by_set: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        by_set[item.data_set].append(index)
    figures = {}
    for name, rows in by_set.items():
        if ALLOWED[name].any():
            rows = [i for i in rows if items[i].emotion >= 0]
            truth = [items[i].emotion for i in rows]
            answer = emotions[rows].masked_fill(~ALLOWED[name], -torch.inf).argmax(-1)
        else:
            truth = [items[i].sentiment for i in rows]
            seen = torch.tensor([c in set(truth) for c in range(len(SENTIMENTS))])
            answer = sentiment[rows].masked_fill(~seen, -torch.inf).argmax(-1)
        figures[name] = float(f1_score(truth, answer.numpy(), average="macro"))
    print("dev macro-F1: " + ", ".join(f"{n} {f:.3f}" for n, f in figures.items()), flush=True)
    return float(np.mean(list(figures.values())))


def predict(path: Path, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The service's own reading of texts: log-probabilities (n, 3) and (n, 7)."""
    reader = TextReader.load(path)
    prepared = [reader.prepare(text) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: reader.cost(prepared[i]))
    sentiment, emotions = np.empty((len(texts), 3)), np.empty((len(texts), len(EMOTIONS)))
    for rows in _chunks(order, 64):
        for row, reading in zip(rows, reader.infer([prepared[i] for i in rows]), strict=True):
            sentiment[row], emotions[row] = reading.log_sentiment, reading.log_emotions
    return sentiment, emotions


def _chunks(order: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
