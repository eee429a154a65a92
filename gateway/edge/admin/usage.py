"""/admin/usage: what was used, summed up or record by record."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from gateway.accounting.asking import BadQuestionError, read_query, read_selection
from gateway.accounting.lines import to_line
from gateway.accounting.table import as_csv, as_objects
from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.edge.paging import limit_of
from policies.stores.ledgers.base import GROUPS, BadCursorError, Ledger, TooManyRowsError, UsageQuery, UsageRow

NEXT_HEADER: Final = "x-tierway-next"
"""The header that names the next page of records; absent on the last one."""

_PAGE: Final = 1000
_LONGEST_PAGE: Final = 5000
"""Records of a page: about 3 MB of JSON at most as they usually are."""

_Request = Request[Any, Any, State]

_Since = Annotated[
    str,
    QueryParameter(
        description="From this day (2026-11-20), moment (2026-11-20T08:00:00Z) or second since the epoch on."
    ),
]
_Until = Annotated[str, QueryParameter(description="Before this day, moment or second.")]
_Team = Annotated[str, QueryParameter(description="Of this team only.")]
_Key = Annotated[str, QueryParameter(description="Of this key only: its name, or `team/name`.")]
_Model = Annotated[str, QueryParameter(description="Of this routed model only.")]
_GroupBy = Annotated[str, QueryParameter(description=f"One row for each combination of these: {', '.join(GROUPS)}.")]
_Format = Annotated[str, QueryParameter(name="format", description="`json` or `csv`.")]
_Limit = Annotated[str, QueryParameter(description=f"Records of a page, at most {_LONGEST_PAGE}.")]
_After = Annotated[str, QueryParameter(description=f"Where the page before ended, as its {NEXT_HEADER} said.")]


@get("/", summary="Sum up usage")
async def sum_up(  # noqa: PLR0913  one argument a parameter, which is how the framework reads and describes them
    request: _Request,
    state: State,
    *,
    since: _Since = "",
    until: _Until = "",
    team: _Team = "",
    key: _Key = "",
    model: _Model = "",
    group_by: _GroupBy = "",
    style: _Format = "json",
) -> Response[bytes]:
    """Sum up what was used, as JSON or as a CSV file."""
    ledger = _ledger(state)
    asked = {"since": since, "until": until, "team": team, "key": key, "model": model, "group_by": group_by}
    _refuse_others(request, (*asked, "format"))
    if style not in ("json", "csv"):
        raise InvalidRequestError("'format' must be json or csv.", param="format")
    try:
        query = read_query(asked)
        rows = await ledger.usage(query)
    except BadQuestionError as error:
        raise InvalidRequestError(str(error), param=error.name) from error
    except TooManyRowsError as error:
        raise InvalidRequestError(f"{error}.".capitalize(), param="group_by", code="too_many_rows") from error
    # In a thread: thousands of rows take longer to write than other requests should wait.
    if style == "csv":
        table = await asyncio.to_thread(as_csv, query.group_by, rows)
        headers = {"content-disposition": 'attachment; filename="usage.csv"'}
        return Response(table.encode(), media_type="text/csv", headers=headers)
    body = await asyncio.to_thread(_document, query, rows)
    return Response(body, media_type="application/json")


@get("/records", summary="Export records of usage")
async def export_records(  # noqa: PLR0913  see `sum_up`
    request: _Request,
    state: State,
    *,
    since: _Since = "",
    until: _Until = "",
    team: _Team = "",
    key: _Key = "",
    model: _Model = "",
    limit: _Limit = str(_PAGE),
    after: _After = "",
) -> Response[bytes]:
    """Export records as lines of JSON, oldest first, page by page."""
    ledger = _ledger(state)
    asked = {"since": since, "until": until, "team": team, "key": key, "model": model}
    _refuse_others(request, (*asked, "limit", "after"))
    most = limit_of({"limit": [limit]}, default=_PAGE, most=_LONGEST_PAGE)
    try:
        page = await ledger.page(read_selection(asked), limit=most, after=_place(after))
    except BadQuestionError as error:
        raise InvalidRequestError(str(error), param=error.name) from error
    except BadCursorError as error:
        raise InvalidRequestError(f"'after' must be as {NEXT_HEADER} gave it.", param="after") from error
    headers = {NEXT_HEADER: base64.urlsafe_b64encode(page.after.encode()).decode()} if page.after else {}
    lines = await asyncio.to_thread(lambda: b"".join(map(to_line, page.records)))
    return Response(lines, media_type="application/jsonl", headers=headers)


def _ledger(state: State) -> Ledger:
    ledger: Ledger | None = state.current.ledger
    if ledger is None:
        raise NotFoundError("There is no usage ledger: 'telemetry.ledger' of the settings is null.", code="ledger_off")
    return ledger


def usage_router() -> Router:
    """Return the routes of `/usage`."""
    return Router("/usage", route_handlers=[sum_up, export_records], tags=["admin"])


def _document(query: UsageQuery, rows: list[UsageRow]) -> bytes:
    return msgspec.json.encode({"group_by": query.group_by, "data": as_objects(query.group_by, rows)})


def _refuse_others(request: _Request, names: tuple[str, ...]) -> None:
    """Let no parameter pass that would not be looked at.

    Raises:
        InvalidRequestError: a name is unknown or stands twice.
    """
    sent = [name for name, _ in request.query_params.multi_items()]
    for name in sent:
        if name not in names:
            raise InvalidRequestError(f"An unknown parameter was sent; known are {', '.join(names)}.")
    if len(set(sent)) != len(sent):
        raise InvalidRequestError("A parameter stands twice; values of 'group_by' are joined by commas.")


def _place(after: str) -> str:
    try:
        return base64.b64decode(after.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise BadCursorError("no page was named so") from error
