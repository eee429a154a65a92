"""/admin/alerts: what is wrong now, and who was told."""

from __future__ import annotations

import datetime as dt

import msgspec
from litestar import Router, get
from litestar.datastructures import State

from gateway.alerts.book import AlertView as Alert
from gateway.alerts.webhook import Delivery
from gateway.edge.current import Current


class AlertView(msgspec.Struct, kw_only=True):
    """An alert as it is shown."""

    alert: str
    subject: str
    state: str
    """`inactive`, `pending`, `firing` or `resolved`."""
    since: dt.datetime
    value: float | None
    threshold: float
    unit: str
    """Of value and threshold: `share` (0 to 1), `usd` or `s`."""


class NotificationView(msgspec.Struct, kw_only=True):
    """A notification as it is shown."""

    id: str
    at: dt.datetime
    outcome: str
    """`waiting`, `delivered`, `failed`, `dropped`, or `unsent` without a webhook."""
    attempts: int
    answer: str
    """The status of the last attempt, or the code of what went wrong."""
    changes: list[str]


class AlertList(msgspec.Struct):
    """Alerts and notifications.

    Attributes:
        data: the alerts over all requests, and every other that is not at rest; those that fire come first.
        notifications: the last ones, newest first.
        webhook_host: where they are sent, null for nowhere.
        overlooked: how many budgets are not watched, and how often an alert was not followed, as there are too many.
    """

    data: list[AlertView]
    notifications: list[NotificationView]
    webhook_host: str | None
    overlooked: int


@get("/", summary="List alerts")
async def list_alerts(state: State) -> AlertList:
    """List alerts with their states, and the last notifications."""
    current: Current = state.current
    alerts = current.alerts
    views = sorted(alerts.views(), key=lambda alert: _ORDER.get(alert.state, len(_ORDER)))
    return AlertList(
        [_shown(view) for view in views],
        [_sent(delivery) for delivery in alerts.deliveries()],
        alerts.webhook_host,
        alerts.overlooked,
    )


def alerts_router() -> Router:
    """Return the routes of `/alerts`."""
    return Router("/alerts", route_handlers=[list_alerts], tags=["admin"])


_ORDER = {"firing": 0, "pending": 1, "resolved": 2}


def _shown(view: Alert) -> AlertView:
    return AlertView(
        alert=view.alert,
        subject=view.subject,
        state=view.state,
        since=_moment(view.since),
        value=view.value,
        threshold=view.threshold,
        unit=view.unit,
    )


def _sent(delivery: Delivery) -> NotificationView:
    notification = delivery.notification
    return NotificationView(
        id=notification.id,
        at=_moment(notification.at),
        outcome=delivery.outcome,
        attempts=delivery.attempts,
        answer=delivery.answer,
        changes=[f"{change.state}: {change.summary}" for change in notification.changes],
    )


def _moment(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, dt.UTC)
