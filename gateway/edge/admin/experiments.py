"""/admin/router/report: what experiments have shown."""

from __future__ import annotations

from litestar import Router, get
from litestar.datastructures import State

from gateway.edge.current import Current
from gateway.experiments.report import Report


@get("/report", summary="Report on experiments")
async def show_report(state: State) -> Report:
    """Compare the arms of every split, and every shadow with the models beside it."""
    current: Current = state.current
    return await current.version.observation.experiments.report()


def experiments_router() -> Router:
    """Return the routes of experiments below `/router`."""
    return Router("/router", route_handlers=[show_report], tags=["admin"])
