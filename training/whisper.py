"""A small Whisper-architecture checkpoint, in openai-whisper's own format, on real speech.

It shows the whole path (transcript and emotion from one encoder pass) where no published weights
can be had; it is no match for them. Digits in English, CASIA's sentences in Chinese, nEMO's in
Polish: test speakers are never heard, and a share of the sentences neither.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from whisper.audio import N_SAMPLES, N_SAMPLES_PER_TOKEN, pad_or_trim
from whisper.model import AudioEncoder, ModelDimensions, TextDecoder
from whisper.normalizers import BasicTextNormalizer
from whisper.tokenizer import Tokenizer, get_tokenizer

from modalities.voice.infer import VoiceReader, head_path_of
from modalities.voice.model import VoiceDimensions, encode, features
from modalities.voice.prepare import Segment
from training.augment import spec_augment
from training.clips import cached_waves
from training.data import data_dir, load_splits, speech_rows
from training.loop import Recipe, fit
from training.options import Options
from training.rows import Row, load, sets_of
from training.whisper_head import BATCH, train_head

DIMS = ModelDimensions(
    n_mels=80, n_audio_ctx=1500, n_audio_state=128, n_audio_head=4, n_audio_layer=2,
    n_vocab=51865, n_text_ctx=64, n_text_state=128, n_text_head=4, n_text_layer=2,
)  # fmt: skip
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NOISE_SHARE = 0.05  # of the items: noise, so that the model learns to say "no speech"
FULL_SHARE, FULL_BATCH = 0.08, 6  # batches padded to 30 s, as the model will be used
UNTARGETED = -100
N_PROMPT = 4  # <|startoftranscript|> <|language|> <|transcribe|> <|notimestamps|>
LOST_SHARE = 0.3  # of the decoder's inputs, replaced at random
CTC_WEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class Utterance:
    """A recording (n,) int16 at 16 kHz and what is said in it."""

    wave: NDArray[np.int16]
    text: str
    language: str
    split: str  # of the speaker
    seen: bool  # whether the sentence is one of those trained on

    @property
    def samples(self) -> Tensor:
        return torch.from_numpy(self.wave.astype(np.float32)) / 32768


def utterances(run_dir: Path, limit: int | None = None) -> list[Utterance]:
    """The transcribed speech; `limit` keeps so many of each set and split."""
    rows: list[tuple[str, str, str, str]] = []
    for file, split in load_splits("digits").items():
        path = str(data_dir() / "asr" / "digits" / file)
        rows.append((path, DIGITS[int(file[0])], "en", split))
    for name in ("casia", "nemo"):
        rows += [(r["file"], r["text"], r["lang"], r["split"]) for r in speech_rows(name)]
    if limit is not None:
        groups: dict[tuple[str, str], list[tuple[str, str, str, str]]] = {}
        for row in random.Random(0).sample(rows, len(rows)):
            groups.setdefault(row[2:], []).append(row)
        rows = [row for group in groups.values() for row in group[:limit]]
    sentences = load_splits("asr_sentences")
    waves = cached_waves(run_dir, [row[0] for row in rows])
    return [
        Utterance(wave, text, language, split, sentences.get(text, "train") == "train")
        for (wave, _, _), (_, text, language, split) in zip(waves, rows, strict=True)
    ]


class Trainee(nn.Module):
    """Encoder and decoder over the tokens that training meets, and one row for all the others.

    The rows of tokens that are never a target would all learn the same: to be unlikely. Tying
    them into one, whose logit gets log(how many they are), gives the exact softmax over the whole
    vocabulary at a fraction of its cost; `whisper_state` copies that row to each of them.
    """

    tokens: Tensor
    bias: Tensor

    def __init__(self, dims: ModelDimensions, tokens: Sequence[int]) -> None:
        super().__init__()
        self.dims = dims
        audio = (dims.n_audio_ctx, dims.n_audio_state, dims.n_audio_head, dims.n_audio_layer)
        text = (dims.n_text_ctx, dims.n_text_state, dims.n_text_head, dims.n_text_layer)
        self.encoder = AudioEncoder(dims.n_mels, *audio)
        self.decoder = TextDecoder(len(tokens) + 1, *text)
        for conv in (self.encoder.conv1, self.encoder.conv2):
            nn.init.kaiming_normal_(conv.weight)  # else the positions drown the sound
        nn.init.normal_(self.decoder.token_embedding.weight, std=0.02)
        nn.init.normal_(self.decoder.positional_embedding, std=0.01)
        self.ctc = nn.Linear(dims.n_audio_state, len(tokens) + 1)  # the last one is the blank
        self.register_buffer("tokens", torch.tensor(tokens))
        bias = torch.zeros(len(tokens) + 1)
        bias[-1] = torch.tensor(float(dims.n_vocab - len(tokens))).log()
        self.register_buffer("bias", bias)

    def forward(self, mel: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """mel (b, n_mels, t) → logits (b, s, tokens + 1) of what follows each of `ids` (b, s),
        and the encoded sound (b, t', d).

        Token numbers are compact: places in `tokens`. Silence at an item's end is not masked, as
        it will not be when the model runs on 30 seconds.
        """
        lengths = torch.full((len(mel),), mel.shape[-1])
        states, _ = encode(self.encoder, mel, lengths, 0.1 if self.training else 0.0)
        logits: Tensor = self.decoder(ids, states[-1]) + self.bias
        return logits, states[-1]

    def whisper_state(self) -> dict[str, Tensor]:
        """The weights under openai-whisper's names, the vocabulary whole again."""
        parts = ("encoder.", "decoder.")
        state = {name: v for name, v in self.state_dict().items() if name.startswith(parts)}
        compact = state["decoder.token_embedding.weight"]  # (tokens + 1, d)
        whole = compact[-1:].repeat(self.dims.n_vocab, 1)
        whole[self.tokens] = compact[:-1]
        return state | {"decoder.token_embedding.weight": whole}


class Batch(NamedTuple):
    """Utterances for a Trainee; tokens in compact numbers."""

    mel: Tensor  # (b, n_mels, t), silence at the end included
    positions: Tensor  # (b,) encoder positions that hold sound
    ids: Tensor  # (b, s) what the decoder reads
    targets: Tensor  # (b, s) what it is to say next, UNTARGETED beyond an item's end
    spoken: Tensor  # the text's tokens of all items, end to end
    n_spoken: Tensor  # (b,) how many are each item's


class Corpus:
    """Utterances as batches."""

    def __init__(self, items: Sequence[Utterance], dims: ModelDimensions, seed: int) -> None:
        self.dims, self.seed = VoiceDimensions.of_whisper(dims), seed
        self.train = [item for item in items if item.split == "train" and item.seen]
        self.dev = [item for item in items if item.split == "dev" and item.seen]
        self.sequences = {(i.language, i.text): token_ids(i) for i in self.train + self.dev}
        self.no_speech = tokenizer_of("en").no_speech
        met = {token for sequence in self.sequences.values() for token in sequence}
        self.tokens = sorted(met | {self.no_speech})
        self.compact = {token: index for index, token in enumerate(self.tokens)}
        self.mask = spec_augment()

    def __len__(self) -> int:
        return -(-len(self.train) // BATCH)

    def batches(self, epoch: int) -> Iterator[Batch]:
        rng = random.Random(self.seed + epoch)
        order = sorted(self.train, key=lambda item: len(item.wave) * (1 + 0.2 * rng.random()))
        groups = [order[i * BATCH : (i + 1) * BATCH] for i in range(len(self))]
        rng.shuffle(groups)
        for group in groups:
            if rng.random() < FULL_SHARE:
                yield self.batch(group[:FULL_BATCH], N_SAMPLES, True)
            else:
                longest = max(len(item.wave) for item in group)
                yield self.batch(group, round(longest * rng.uniform(1.1, 2)), True)

    def dev_batches(self) -> list[Batch]:
        order = sorted(self.dev, key=lambda item: len(item.wave))
        groups = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        return [self.batch(group, len(group[-1].wave), False) for group in groups]

    def batch(self, items: Sequence[Utterance], n_samples: int, augmented: bool) -> Batch:
        """Items padded with silence to `n_samples`."""
        mels, sequences, spoken = [], [], []
        for item in items:
            wave = item.samples
            sequence = self.sequences[item.language, item.text]
            if augmented and torch.rand(()) < NOISE_SHARE:
                wave = torch.randn_like(wave) * 10 ** torch.empty(()).uniform_(-4, -1)
                sequence = (sequence[0], self.no_speech)
            mel = features(pad_or_trim(wave, n_samples), self.dims)
            mels.append(self.mask(mel[None])[0] if augmented else mel)
            sequences.append(torch.tensor([self.compact[token] for token in sequence]))
            spoken.append(sequences[-1][N_PROMPT:-1])
        padded = nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=UNTARGETED)
        ids = padded[:, :-1].clamp(min=0)
        if augmented:  # a decoder that cannot trust what it has said must listen
            lost = torch.rand(ids.shape) < LOST_SHARE
            lost[:, :N_PROMPT] = False
            ids = torch.where(lost, torch.randint(len(self.tokens), ids.shape), ids)
        return Batch(
            mel=torch.stack(mels),
            positions=torch.tensor([len(item.wave) // N_SAMPLES_PER_TOKEN for item in items]),
            ids=ids,
            targets=padded[:, 1:],
            spoken=torch.cat(spoken),
            n_spoken=torch.tensor([len(tokens) for tokens in spoken]),
        )


def tokenizer_of(language: str) -> Tokenizer:
    return get_tokenizer(True, num_languages=99, language=language, task="transcribe")


def token_ids(item: Utterance) -> tuple[int, ...]:
    """<|startoftranscript|> <|language|> <|transcribe|> <|notimestamps|> text <|endoftext|>."""
    tokenizer = tokenizer_of(item.language)
    text = item.text if item.language == "zh" else f" {item.text}"
    return (*tokenizer.sot_sequence_including_notimestamps, *tokenizer.encode(text), tokenizer.eot)


def decoder_loss(logits: Tensor, batch: Batch) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=UNTARGETED)


def loss(model: Trainee, batch: Batch) -> Tensor:
    """The decoder's cross-entropy and the encoder's CTC (Watanabe et al. 2017).

    With few sentences the decoder soon knows them by heart and never learns to listen; CTC
    teaches the encoder what is said without it. Its layer is not saved.
    """
    logits, states = model(batch.mel, batch.ids)
    ctc = F.ctc_loss(
        model.ctc(states).log_softmax(-1).transpose(0, 1),
        batch.spoken,
        batch.positions,
        batch.n_spoken,
        blank=len(model.tokens),
        zero_infinity=True,
    )
    return decoder_loss(logits, batch) + CTC_WEIGHT * ctc


def train(
    run_dir: Path,
    out: Path,
    epochs: int = 12,
    dims: ModelDimensions = DIMS,
    limit: int | None = None,
    head_limit: int = 1200,
    head_epochs: int = 12,
) -> None:
    """Write the checkpoint `out` (.pt) and its emotion head beside it; resumes after a kill.

    `limit` keeps so many utterances of each set and split, `head_limit` so many emotion clips.
    """
    corpus = Corpus(utterances(run_dir, limit), dims, seed=20261124)
    recipe = Recipe(epochs=epochs, learning_rate=1.5e-3, weight_decay=0.02, patience=epochs)
    torch.manual_seed(recipe.seed)
    model = Trainee(dims, corpus.tokens)
    print(f"{len(corpus.train):,} utterances, {len(corpus.tokens):,} tokens in use", flush=True)
    dev = corpus.dev_batches()

    def dev_loss(batch: Batch) -> float:
        return decoder_loss(model(batch.mel, batch.ids)[0], batch).item()

    fit(
        model,
        batches=corpus.batches,
        steps_per_epoch=len(corpus),
        loss=lambda batch: loss(model, batch),
        validate=lambda: -sum(dev_loss(batch) for batch in dev) / len(dev),
        recipe=recipe,
        run_dir=run_dir / "asr",
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.half() for name, tensor in model.whisper_state().items()}
    torch.save({"dims": asdict(dims), "model_state_dict": state}, out)
    rows = head_rows("train", head_limit) + head_rows("dev", head_limit // 4)
    options = Options(base=str(out), epochs=head_epochs)
    train_head(rows, run_dir, head_path_of(out), options)


def head_rows(split: str, limit: int) -> list[Row]:
    """At most `limit` labelled rows of the speech sets' split, drawn at random."""
    rows = [row for name in sets_of("voice") for row in load("voice", name) if row.split == split]
    return random.Random(0).sample(rows, min(limit, len(rows)))


@dataclass(frozen=True)
class ErrorRate:
    """Of one language's utterances: by character for Chinese, else by word."""

    utterances: int
    error_rate: float
    deaf_error_rate: float  # of the one sentence that, always said, is wrong the least


def evaluate(path: Path, run_dir: Path, fallback: Path, limit: int = 100) -> dict[str, ErrorRate]:
    """Error rates on speakers never heard, the service's own path, language detected.

    Sentences seen and unseen in training apart, at most `limit` utterances of each. Texts that
    the reader drops as invented count as all deleted.
    """
    reader = VoiceReader.load_whisper(str(path), path.parent, "cpu", fallback)
    groups: dict[str, list[Utterance]] = {}
    for item in utterances(run_dir):
        if item.split == "test":
            unit = "CER" if item.language == "zh" else "WER"
            seen = "seen" if item.seen else "unseen"
            groups.setdefault(f"{item.language} {unit}, {seen} sentences", []).append(item)
    rates = {}
    for name, items in sorted(groups.items()):
        items = random.Random(0).sample(items, min(limit, len(items)))
        spoken = [_units(item.text, item.language) for item in items]
        heard = []
        for item in items:
            wave = item.samples.numpy()
            transcript = reader.infer([Segment(wave, 0.0, len(wave) / 16_000, 0.0)])[0].transcript
            heard.append(_units(transcript.text if transcript else "", item.language))
        length = sum(map(len, spoken))
        deaf = (
            sum(edit_distance(said, constant) for said in spoken)
            for constant in map(list, {tuple(said) for said in spoken})
        )
        rates[name] = ErrorRate(
            utterances=len(items),
            error_rate=sum(map(edit_distance, spoken, heard)) / length,
            deaf_error_rate=min(deaf) / length,
        )
        print(f"{name}: {rates[name]}", flush=True)
    return rates


def _units(text: str, language: str) -> list[str]:
    normal = BasicTextNormalizer()(text)
    return list(normal.replace(" ", "")) if language == "zh" else normal.split()


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein distance: the fewest insertions, deletions and substitutions from a to b."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]
