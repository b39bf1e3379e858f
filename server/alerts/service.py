"""AlertService: handlers as `server.rpc` takes them."""

from __future__ import annotations

from emotion.v1.alert_service_pb2 import (
    DESCRIPTOR,
    ListAlertsRequest,
    ListAlertsResponse,
    StreamAlertsRequest,
)

from modalities.errors import InputError, OverloadedError
from server.alerts.log import AlertLog, matches
from server.checks import page_size_of
from server.errors import StateError
from server.streams import Responses

ALERTS = DESCRIPTOR.services_by_name["AlertService"]
RETRY_AFTER_S = 1.0


class AlertHandlers:
    """`log` is None where nothing is watched."""

    def __init__(self, log: AlertLog | None) -> None:
        self._log = log

    async def list_alerts(self, request: ListAlertsRequest, _: float | None) -> ListAlertsResponse:
        """A page token is the id of the last alert of the page before. Raises InputError."""
        size = page_size_of(request.page_size)
        alerts = self._known().newest_first()
        if request.page_token:
            ids = [alert.id for alert in alerts]
            if request.page_token not in ids:
                raise InputError("not a token that this service gave, or too old", "page_token")
            alerts = alerts[ids.index(request.page_token) + 1 :]
        found = [alert for alert in alerts if matches(alert, request.filter)]
        page = found[:size]
        more = len(found) > len(page)
        return ListAlertsResponse(alerts=page, next_page_token=page[-1].id if more else "")

    async def stream_alerts(self, request: StreamAlertsRequest, responses: Responses) -> None:
        """Raises OverloadedError where the client takes them too slowly."""
        with self._known().listening() as listener:
            await responses.open()
            while True:
                alert = await listener.alerts.get()
                if matches(alert, request.filter):
                    await responses.send(alert)
                if listener.overrun and listener.alerts.empty():
                    raise OverloadedError("alerts were not taken in time", RETRY_AFTER_S)

    def _known(self) -> AlertLog:
        """Raises StateError."""
        if self._log is None:
            raise StateError(
                "this server watches no conversations", "start it with the setting alerts"
            )
        return self._log
