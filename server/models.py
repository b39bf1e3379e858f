"""The models of a server: loaded once, checked against their checksums, or known to be missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from fusion.labels import our_labels
from fusion.pool import FusionPool
from fusion.satisfaction import SatisfactionHead
from modalities.checkpoint import sha256
from modalities.errors import EmotionError, UnavailableError
from modalities.image.infer import VisionReader
from modalities.image.model import SIZE
from modalities.image.prepare import ImagePreparer
from modalities.image.pretrained import PretrainedVisionReader
from modalities.reading import Source
from modalities.text.infer import TextReader
from modalities.voice import whisper_checkpoint
from modalities.voice.infer import VoiceReader
from server.settings import Settings
from training.learn.registry import Registry, Version

Loaded = TypeVar("Loaded")


WORDS = tuple(source for source in Source if source.is_words)


class AlteredError(EmotionError):
    """A file of weights is not the one that its checksum was written for."""


@dataclass(frozen=True)
class ModelInfo:
    """What ModelService tells of a model; `missing` says why it is not there."""

    name: str
    description: str
    sources: tuple[Source, ...]
    revision: str = ""
    missing: UnavailableError | None = None


@dataclass
class Models:
    """A missing model is None and has its reason in `missing`; without fusion there is none."""

    device: str
    fusion: FusionPool
    text: TextReader | None = None
    voice: VoiceReader | None = None
    image: VisionReader | PretrainedVisionReader | None = None
    satisfaction: SatisfactionHead | None = None
    preparer: ImagePreparer | None = None  # the OCR; without it no picture is read at all
    missing: dict[str, UnavailableError] = field(default_factory=dict)

    def infos(self) -> list[ModelInfo]:
        """All models that there could be, by name."""
        faces = self.preparer.faces if self.preparer and "faces" not in self.missing else None
        rows = (
            ("faces", "where faces are", (Source.VISION,), faces),
            ("fusion", "weighs the sources", tuple(Source), self.fusion),
            ("image", "emotion from faces", (Source.VISION,), self.image),
            ("satisfaction", "satisfaction from a conversation", WORDS, self.satisfaction),
            (
                "text",
                "emotion from words",
                WORDS,
                self.text,
            ),
            ("voice", "emotion from the sound of speech", (Source.VOICE,), self.voice),
        )
        infos = [
            ModelInfo(
                name, description, sources, model.revision if model else "", self.missing.get(name)
            )
            for name, description, sources, model in rows
        ]
        whisper = self.voice.whisper_revision if self.voice else ""
        told = "transcripts of speech", (Source.TRANSCRIPT,), whisper, self.missing.get("whisper")
        return [*infos, ModelInfo("whisper", *told)]


def load(settings: Settings, *, pictures: bool = True) -> Models:
    """Load all that is there; without `pictures`, nothing that only they need.

    Raises AlteredError where a file of the bundle is not what SHA256SUMS states, and
    UnavailableError where there is no fusion model, without which there is no answer, or not the
    Whisper checkpoint that was asked for.
    """
    if settings.cpu_threads:
        torch.set_num_threads(settings.cpu_threads)
    device, missing = settings.resolved_device(), {}

    def attempt(name: str, loader: Callable[[], Loaded]) -> Loaded | None:
        try:
            return loader()
        except UnavailableError as error:
            # The frames it passed hold every model loaded here, also one that is replaced later.
            error.__cause__ = error.__context__ = None
            missing[name] = error.with_traceback(None)
            return None

    models = Models(
        device,
        FusionPool.load(verified(settings.weights, "fusion"), device),
        missing=missing,
    )
    models.text = attempt("text", lambda: TextReader.load(_checkpoint(settings, "text"), device))
    if (text := models.text) is not None:
        models.satisfaction = attempt("satisfaction", lambda: _satisfaction(settings, text))
    else:
        missing["satisfaction"] = missing["text"]
    if pictures:
        models.image = attempt("image", lambda: _vision(settings, device))
        size = models.image.size if models.image else SIZE
        models.preparer = attempt("ocr", lambda: ImagePreparer(crop_size=size))
        if models.preparer and models.preparer.faces.lacking:
            missing["faces"] = models.preparer.faces.lacking
    else:
        missing["image"] = missing["ocr"] = UnavailableError(
            "only recordings are read here", "analyze a picture by itself"
        )
    models.voice = attempt("whisper", lambda: _whisper(settings, device))
    asked = settings.whisper not in (whisper_checkpoint.AUTO, whisper_checkpoint.NONE)
    if asked and models.voice is None:
        raise missing["whisper"]
    if models.voice is None:
        models.voice = attempt(
            "voice", lambda: VoiceReader.load(_checkpoint(settings, "voice"), device)
        )
    return models


def reload(part: str, models: Models, settings: Settings) -> Mapping[str, Any]:
    """What the registry now has of a part, and what depends on it, by name; a dependant that does
    not fit as the error that says so.

    Raises UnavailableError where a running server cannot take it, and as `load`.
    """
    path, device = _checkpoint(settings, part), models.device
    if part == "text":
        text = TextReader.load(path, device)
        try:
            return {"text": text, "satisfaction": _satisfaction(settings, text)}
        except UnavailableError as error:
            return {"text": text, "satisfaction": error}
    if part == "voice" and not (models.voice and models.voice.whisper):
        return {"voice": VoiceReader.load(path, device)}
    if part == "image" and settings.vision is None:
        image = VisionReader.load(path, device)
        if models.image is None or models.image.size == image.size:
            return {"image": image}
    raise UnavailableError(
        f"the new {part} model cannot be taken while the server runs", "restart the server"
    )


def _whisper(settings: Settings, device: str) -> VoiceReader:
    return VoiceReader.load_whisper(
        whisper_checkpoint.chosen(settings.whisper, settings.whisper_dir),
        settings.whisper_dir,
        device,
        _checkpoint(settings, "voice"),
        settings.whisper_margin_s,
    )


def _vision(settings: Settings, device: str) -> VisionReader | PretrainedVisionReader:
    if settings.vision is None:
        return VisionReader.load(_checkpoint(settings, "image"), device)
    return PretrainedVisionReader(settings.vision, device, _our_label)


def _our_label(label: str) -> str | None:
    (ours,) = our_labels([label])
    return ours.emotion or ours.sentiment


def _satisfaction(settings: Settings, text: TextReader) -> SatisfactionHead:
    version = _version("text")
    own = version is not None and (version.folder / "satisfaction.safetensors").is_file()
    folder = version.folder if version is not None and own else settings.weights
    head = SatisfactionHead.load(verified(folder, "satisfaction"))
    if head.text_revision != text.revision:
        raise UnavailableError(
            "the satisfaction head was trained on another text model",
            "train it anew with 'emotion train satisfaction'",
        )
    return head


def _version(part: str) -> Version | None:
    registry = Registry.of_environment()
    return registry.current(part) if registry else None


def _checkpoint(settings: Settings, part: str) -> Path:
    """Of the version that was promoted, else of the bundle; raises as `load`."""
    version = _version(part)
    return verified(version.folder if version else settings.weights, part)


def verified(folder: Path, name: str) -> Path:
    """Path of a file of the bundle whose checksum is right; raises as `load`."""
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise UnavailableError(
            f"the {name} weights are not in {folder}",
            "reinstall the package, or make the weights anew with 'emotion train'",
        )
    try:
        lines = (folder / "SHA256SUMS").read_text().splitlines()
    except OSError:
        lines = []
    stated = {file: digest for digest, file in (line.split() for line in lines)}
    if stated.get(path.name) != sha256(path):
        raise AlteredError(
            f"{path} does not match SHA256SUMS: reinstall the package, "
            "or write the checksum of weights that you trained yourself"
        )
    return path
