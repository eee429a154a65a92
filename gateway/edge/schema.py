"""GET /schema: the API as one OpenAPI 3.1 document."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.types import Receive, Scope, Send

from gateway.edge.admin.router import admin_router
from gateway.edge.answer import JSON, allows, exchange_of, send_answer
from gateway.edge.schema_bodies import ANSWERS, ERRORS, REQUESTS
from gateway.edge.schema_paths import FAILURES, SECURITY, SECURITY_SCHEMES, admin_failures, raw_paths

_DESCRIPTION: Final = (
    "Every path below `/v1` is also there without `/v1`, and every path with a `/` at its end. Each but the operators' "
    "answers OPTIONS with 204 and the methods it knows, and HEAD where it answers GET. A gateway on loopback that "
    "knows no key asks for none."
)


@cache
def openapi_document() -> bytes:
    """Return the document: the framework's own routes as it describes them, the raw ones as written here."""
    config = OpenAPIConfig(title="Tierway", version=version("tierway"), description=_DESCRIPTION)
    # An application of its own, never served: the framework's OpenAPI plugin would add pages that load scripts.
    described = Litestar([admin_router()], openapi_config=config)
    document: dict[str, Any] = described.openapi_schema.to_schema()
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **REQUESTS, **ANSWERS, **ERRORS}
    components["responses"] = FAILURES
    components["securitySchemes"] = SECURITY_SCHEMES
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["security"] = SECURITY
            operation["responses"] |= admin_failures()
    document["paths"] = {**raw_paths(), **document["paths"]}
    return msgspec.json.encode(document)


class SchemaRoute:
    """Shows the document."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        """Handle one request."""
        exchange = exchange_of(scope)
        exchange.route = "schema"
        if await allows(scope, send, "GET"):
            await send_answer(send, exchange, 200, [JSON], openapi_document())
