"""Settings: `EMOTION_*` environment variables; the command line's options override them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

import weights
from modalities.cache import cache_dir
from modalities.errors import UnavailableError
from server.strategy import DEFAULT_BOOK


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
    cpu_threads: int = Field(
        default=0, ge=0, description="of torch, and batches of texts at once; 0: its choice"
    )
    engine: Literal["local", "ray"] = Field(default="local", description="where models run")
    ray_address: str | None = Field(
        default=None, description="a Ray cluster's; unset, one is started on this machine"
    )
    ray_text_replicas: PositiveInt = 1
    ray_voice_replicas: PositiveInt = 1
    ray_image_replicas: PositiveInt = 1
    ray_gpus: float = Field(default=0.0, ge=0, description="of each replica; 0.5: two share one")
    weights: Path = Field(default=weights.FOLDER, description="folder of the bundle")
    whisper: str = Field(
        default="auto", description="a checkpoint's name or path; auto: one that was pulled; none"
    )
    whisper_dir: Path = Field(default_factory=cache_dir, description="of pulled checkpoints")
    whisper_margin_s: float | None = Field(
        default=None,
        ge=0,
        description="silence its encoder hears after speech; unset: 1 s for base, else all of 30 s",
    )
    vision: str | None = Field(default=None, description="a Hugging Face model's name or folder")

    tls_certificate: Path | None = Field(default=None, description="PEM of the server's chain")
    tls_key: Path | None = Field(default=None, description="PEM of its private key")
    tls_client_ca: Path | None = Field(
        default=None, description="PEM of authorities; every client then needs a certificate"
    )
    allow_plaintext: bool = Field(default=False, description="no TLS, also to other machines")
    tokens: Path | None = Field(default=None, description="file of 'emotion tokens create'")
    allow_anonymous: bool = Field(
        default=False, description="no tokens and no certificates, also to other machines"
    )

    max_message_bytes: PositiveInt = 32 * 1024 * 1024
    max_text_characters: PositiveInt = 10_000
    max_audio_s: PositiveFloat = 600.0
    max_image_pixels: PositiveInt = 50_000_000
    max_image_side_pixels: PositiveInt = 20_000
    max_images: PositiveInt = 8
    max_messages: PositiveInt = 500

    max_request_s: PositiveFloat = Field(default=600.0, description="whatever the deadline")
    max_concurrent_requests: PositiveInt = Field(default=128, description="of one method")
    max_bytes_under_way: PositiveInt = Field(default=2**30, description="of all such requests")
    prepare_threads: PositiveInt = Field(default=2, description="of each modality")
    max_decode_s: PositiveFloat = Field(default=30.0, description="of a recording or picture")
    max_queued_batches: PositiveInt = Field(default=256, description="of one model")
    batch_wait_ms: float = Field(default=0.0, ge=0, description="from a batch's first item")
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

    observe_host: str = Field(
        default="127.0.0.1", description="address of the next two, in plain text: no content"
    )
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="of Prometheus metrics; unset, there are none"
    )
    health_port: int | None = Field(
        default=None, ge=0, le=65535, description="of gRPC health beside the server's own"
    )
    otlp_endpoint: str | None = Field(
        default=None, description="a collector's URL, such as http://127.0.0.1:4317, for traces"
    )

    def resolved_device(self) -> str:
        """``cpu`` or ``cuda``; torch decides where the setting is ``auto``.

        Raises UnavailableError where CUDA is asked for and torch has none.
        """
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise UnavailableError("torch finds no CUDA device", "use device cpu or auto")
        if self.engine == "ray":  # the replicas have their own
            return "cpu"
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device
