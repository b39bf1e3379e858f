"""Settings: `EMOTION_*` environment variables; the command line's options override them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

import weights
from modalities.errors import UnavailableError
from server.strategy import DEFAULT_BOOK


def _whisper_cache() -> Path:
    """Where openai-whisper itself keeps what it downloads."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "whisper"


def _split(folders: Any) -> Any:
    """Written as in PATH."""
    return folders.split(os.pathsep) if isinstance(folders, str) else folders


def _words(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Folders = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Everything that can be set, with its unit in its name."""

    model_config = SettingsConfigDict(env_prefix="EMOTION_", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=50051, ge=0, le=65535, description="0 takes any free one")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    cpu_threads: int = Field(default=0, ge=0, description="of torch; 0 leaves it to torch")
    weights: Path = Field(default=weights.FOLDER, description="folder of the bundle")
    whisper: str | None = Field(default=None, description="a checkpoint's name or path")
    whisper_dir: Path = Field(default_factory=_whisper_cache, description="downloaded checkpoints")
    vision: str | None = Field(default=None, description="a Hugging Face model's name or folder")

    max_message_bytes: PositiveInt = 32 * 1024 * 1024
    max_text_characters: PositiveInt = 10_000
    max_audio_s: PositiveFloat = 600.0
    max_image_pixels: PositiveInt = 50_000_000
    max_image_side_pixels: PositiveInt = 20_000
    max_images: PositiveInt = 8
    max_messages: PositiveInt = 500

    max_concurrent_requests: PositiveInt = Field(default=64, description="of one method")
    prepare_threads: PositiveInt = Field(default=2, description="of each modality")
    max_queued_batches: PositiveInt = Field(default=64, description="of one model")
    batch_wait_ms: float = Field(default=3.0, ge=0, description="from a batch's first item")
    drain_s: PositiveFloat = Field(default=30.0, description="for accepted requests at the end")

    max_streams: PositiveInt = Field(default=40, description="live calls at once")
    max_call_s: PositiveFloat = Field(default=4 * 3600.0, description="length of a live call")
    max_chunk_bytes: PositiveInt = Field(default=1024 * 1024, description="of a live call's audio")
    stream_idle_s: PositiveFloat = Field(default=60.0, description="wait for a live call's client")
    calls_at_once: PositiveInt = Field(default=4, description="recordings, of one job")
    max_call_jobs: PositiveInt = Field(default=2, description="of BatchAnalyzeCalls, at once")
    call_roots: Folders = Field(default=(), description="folders of its recordings: a:b")
    call_output_root: Path | None = Field(default=None, description="folder of its tables")
    score_agents: bool = Field(default=False, description="emotion of agents, too")

    rules: Path = Field(default=DEFAULT_BOOK, description="rule book")
    store: str | None = Field(default=None, description="an SQLite file or a database's URL")
    store_key: SecretStr | None = Field(default=None, description="its key, hexadecimal digits")
    store_key_file: Path | None = Field(default=None, description="by default beside the store")
    store_content: bool = Field(default=False, description="keep redacted content, too")
    store_max_queued: PositiveInt = Field(default=10_000, description="entries that wait for it")
    store_retention_days: PositiveFloat | None = Field(default=None, description="then deleted")
    alerts: Path | None = Field(
        default=None, description="folder of alerts; unset, none are raised"
    )
    alert_webhooks: Words = Field(default=(), description="https URLs, white space between")
    alert_webhook_secret: SecretStr = Field(default=SecretStr(""), description="whsec_<base64>")
    negative_below: float = Field(
        default=-0.2, ge=-1, le=1, description="a conversation's mean score, for it to be negative"
    )
    max_alert_series: PositiveInt = Field(default=500, description="channels and tags watched")

    def resolved_device(self) -> str:
        """``cpu`` or ``cuda``; torch decides where the setting is ``auto``.

        Raises UnavailableError where CUDA is asked for and torch has none.
        """
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise UnavailableError("torch finds no CUDA device", "use device cpu or auto")
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device
