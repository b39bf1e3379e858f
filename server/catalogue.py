"""ModelService: the server's models and limits."""

from __future__ import annotations

from emotion.v1.model_service_pb2 import (
    GetModelRequest,
    GetServiceLimitsRequest,
    ListModelsRequest,
    ListModelsResponse,
    Model,
    ServiceLimits,
)
from emotion.v1.types_pb2 import SourceResult

from modalities.errors import InputError
from modalities.text.language import LANGUAGES
from server.checks import MAX_PAGE_SIZE, page_size_of
from server.convert import duration_of
from server.errors import NotFoundError
from server.models import ModelInfo, Models
from server.settings import Settings


class Catalogue:
    """Handlers as `server.rpc` takes them."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models, self.settings = models, settings

    async def list_models(self, request: ListModelsRequest, _: float | None) -> ListModelsResponse:
        """A page token is the name of the last model of the page before (AIP-158)."""
        size = page_size_of(request.page_size, default=MAX_PAGE_SIZE)
        models = [self._model(info) for info in self.models.infos()]
        names = [model.name for model in models]
        if request.page_token and request.page_token not in names:
            raise InputError("not a token that this service gave", "page_token")
        start = names.index(request.page_token) + 1 if request.page_token else 0
        page = models[start : start + size]
        more = start + len(page) < len(models)
        return ListModelsResponse(models=page, next_page_token=page[-1].name if more else "")

    async def get_model(self, request: GetModelRequest, _: float | None) -> Model:
        for info in self.models.infos():
            if request.name == f"models/{info.name}":
                return self._model(info)
        raise NotFoundError("there is no such model; ListModels has their names")

    async def get_service_limits(
        self, _request: GetServiceLimitsRequest, _: float | None
    ) -> ServiceLimits:
        settings = self.settings
        return ServiceLimits(
            max_message_bytes=settings.max_message_bytes,
            max_text_characters=settings.max_text_characters,
            max_audio_duration=duration_of(settings.max_audio_s),
            max_image_pixels=settings.max_image_pixels,
            max_image_side_pixels=settings.max_image_side_pixels,
            max_images=settings.max_images,
            max_messages=settings.max_messages,
            max_streams=settings.max_streams,
            max_call_duration=duration_of(settings.max_call_s),
            max_chunk_bytes=settings.max_chunk_bytes,
            stream_idle_timeout=duration_of(settings.stream_idle_s),
        )

    def _model(self, info: ModelInfo) -> Model:
        missing = info.missing
        reader = None if missing else self._reader(info.name)
        return Model(
            name=f"models/{info.name}",
            revision=info.revision,
            description=info.description,
            sources=[SourceResult.Source.Value(source.name) for source in info.sources],
            state=Model.State.UNAVAILABLE if missing else Model.State.READY,
            reason=missing.reason if missing else "",
            remedy=missing.remedy if missing else "",
            device="" if missing else self.models.device,
            max_batch_cost=getattr(reader, "max_batch_cost", 0.0),
            batch_cost_unit=getattr(reader, "cost_unit", ""),
            precision=str(getattr(reader, "precision", "")).removeprefix("torch."),
            languages=LANGUAGES if info.name == "text" and not missing else (),
        )

    def _reader(self, name: str) -> object:
        """The model that runs the batches of the model `name`; None where none does."""
        models = self.models
        return {
            "fusion": models.fusion,
            "image": models.image,
            "text": models.text,
            "voice": models.voice,
            "whisper": models.voice,
        }.get(name)
