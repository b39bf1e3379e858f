"""Whisper checkpoints with random weights that say one sentence, whatever they hear.

No published weights are needed to measure speed, but every decoder must write the same number of
tokens. So each position's embedding is made to outweigh all that the layers add to it: the decoder
then says the sentence's token of that position, and its end after the last one. openai-whisper,
transformers, faster-whisper (int8 too) and ours all write the same text, with no option that
forces them to.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import get_tokenizer

from modalities.voice import model as voice_model
from modalities.voice.head import EmotionHead
from modalities.voice.infer import head_path_of
from modalities.voice.states import first_blocks

LANGUAGE = "en"
TOKENS_A_SEGMENT = (
    24  # four a second in the mean segment of 6 s: English read at 180 words a minute
)
WEIGHT = 40.0  # of a position's embedding over a token's
SENTENCE = " I called you twice about the parcel that never came and nobody there could tell me why"

TINY = ModelDimensions(80, 1500, 384, 6, 4, 51865, 448, 384, 6, 4)
BASE = ModelDimensions(80, 1500, 512, 8, 6, 51865, 448, 512, 8, 6)
TURBO = ModelDimensions(128, 1500, 1280, 20, 32, 51866, 448, 1280, 20, 4)
DIMENSIONS = {"tiny": TINY, "base": BASE, "large-v3-turbo": TURBO}

_TO_TRANSFORMERS = {
    "blocks": "layers",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
    ".attn_ln": ".self_attn_layer_norm",
    ".attn.": ".self_attn.",
    ".cross_attn_ln": ".encoder_attn_layer_norm",
    ".cross_attn.": ".encoder_attn.",
    ".query": ".q_proj",
    ".key": ".k_proj",
    ".value": ".v_proj",
    "attn.out": "attn.out_proj",
    "decoder.ln.": "decoder.layer_norm.",
    "encoder.ln_post.": "encoder.layer_norm.",
    "token_embedding": "embed_tokens",
    "positional_embedding": "embed_positions.weight",
}


def sentence(n_tokens: int, n_languages: int) -> list[int]:
    """So many tokens of text, those of SENTENCE again and again."""
    tokens = get_tokenizer(True, num_languages=n_languages).encode(SENTENCE)
    return (tokens * (n_tokens // len(tokens) + 1))[:n_tokens]


def speaking(dims: ModelDimensions, n_tokens: int) -> Whisper:
    """Random weights; without timestamps it decodes `n_tokens` tokens of text, then its end."""
    torch.manual_seed(0)
    model = Whisper(dims).eval()
    n_languages = model.num_languages
    tokenizer = get_tokenizer(True, num_languages=n_languages, language=LANGUAGE, task="transcribe")
    prompt = tokenizer.sot_sequence_including_notimestamps
    said = [*sentence(n_tokens, n_languages), tokenizer.eot]
    embedding = model.decoder.token_embedding.weight.data
    positions = model.decoder.positional_embedding.data.normal_(0, 0.01)  # (n_text_ctx, d)
    positions[0] = WEIGHT * embedding[tokenizer.to_language_token(LANGUAGE)]  # detection finds it
    first = len(prompt) - 1  # its last token's position says the first of the text
    positions[first : first + len(said)] = WEIGHT * embedding[said]
    return model


def write(dims: ModelDimensions, n_tokens: int, path: Path) -> Whisper:
    """`speaking`, saved in openai-whisper's format with an untaught emotion head beside it."""
    model = speaking(dims, n_tokens)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": asdict(dims), "model_state_dict": model.state_dict()}, path)
    write_head(model, path)
    return model


def write_head(model: Whisper, path: Path) -> None:
    """An untaught emotion head on this model's states, beside its checkpoint at `path`."""
    dims = voice_model.dimensions(model.dims, n_hidden=128)
    blocks = first_blocks(model.encoder.state_dict(), dims.n_layer)
    temperature = {"sentiment": 1.0, "emotion": 1.0, "doubt": 0.5}
    voice_model.save(head_path_of(path), dims, blocks, EmotionHead(dims), temperature)


def as_transformers(model: Whisper) -> Any:
    """The same weights as a WhisperForConditionalGeneration."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    dims = model.dims
    tokenizer = get_tokenizer(True, num_languages=model.num_languages)
    config = WhisperConfig(
        vocab_size=dims.n_vocab,
        num_mel_bins=dims.n_mels,
        encoder_layers=dims.n_audio_layer,
        encoder_attention_heads=dims.n_audio_head,
        decoder_layers=dims.n_text_layer,
        decoder_attention_heads=dims.n_text_head,
        encoder_ffn_dim=4 * dims.n_audio_state,
        decoder_ffn_dim=4 * dims.n_text_state,
        d_model=dims.n_audio_state,
        max_source_positions=dims.n_audio_ctx,
        max_target_positions=dims.n_text_ctx,
        decoder_start_token_id=tokenizer.sot,
        bos_token_id=tokenizer.eot,
        eos_token_id=tokenizer.eot,
        pad_token_id=tokenizer.eot,
    )
    with torch.device("meta"):
        made = WhisperForConditionalGeneration(config)
    state = {_renamed(name): tensor for name, tensor in model.state_dict().items()}
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    made.load_state_dict(state, strict=True, assign=True)
    made.tie_weights()
    generation = made.generation_config
    generation.is_multilingual = True
    generation.no_timestamps_token_id = tokenizer.no_timestamps
    generation.lang_to_id = {
        f"<|{code}|>": token
        for code, token in zip(
            tokenizer.all_language_codes, tokenizer.all_language_tokens, strict=True
        )
    }
    generation.task_to_id = {"transcribe": tokenizer.transcribe, "translate": tokenizer.translate}
    generation.suppress_tokens = [*tokenizer.non_speech_tokens, tokenizer.no_speech]
    generation.begin_suppress_tokens = [*tokenizer.encode(" "), tokenizer.eot]
    return made.eval()


@cache
def as_tokenizer(n_languages: int) -> Any:
    """Whisper's tokens as a `tokenizers.Tokenizer`, made of openai-whisper's own file."""
    import whisper
    from transformers.convert_slow_tokenizer import TikTokenConverter

    encoding = get_tokenizer(True, num_languages=n_languages).encoding
    specials = sorted(encoding._special_tokens, key=encoding._special_tokens.__getitem__)
    assets = Path(whisper.__file__).parent / "assets"
    return TikTokenConverter(
        vocab_file=str(assets / "multilingual.tiktoken"),
        pattern=encoding._pat_str,
        extra_special_tokens=specials,
    ).converted()


def write_ctranslate2(model: Whisper, folder: Path) -> Path:
    """The same weights as faster-whisper reads them, quantized when it loads them."""
    from ctranslate2.converters.transformers import WhisperLoader

    tokenizer = as_tokenizer(model.num_languages)
    converted = as_transformers(model)
    loader = WhisperLoader()
    with torch.no_grad():
        spec = loader.get_model_spec(converted)
    loader.set_config(spec.config, converted, None)
    loader.set_vocabulary(spec, _in_order(tokenizer.get_vocab(), model.dims.n_vocab))
    spec.validate()
    spec.optimize(quantization=None)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _renamed(name: str) -> str:
    for ours, theirs in _TO_TRANSFORMERS.items():
        name = name.replace(ours, theirs)
    return f"model.{name}"


def _in_order(vocabulary: dict[str, int], n_vocab: int) -> list[str]:
    by_id = {index: token for token, index in vocabulary.items()}
    return [by_id.get(index, f"<|unused{index}|>") for index in range(n_vocab)]
