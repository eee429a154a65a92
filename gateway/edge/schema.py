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

_ERROR: Final = {"$ref": "#/components/schemas/Error"}
_ERRORS: Final = {
    "400": "The request is malformed, or a policy refuses it.",
    "401": "The key is missing, unknown, revoked or expired.",
    "403": "The key may not do this.",
    "404": "There is no such model or address.",
    "405": "The address answers other methods.",
    "408": "The body stopped arriving.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or compressed in an unknown way.",
    "429": "A limit is reached.",
    "502": "The upstream failed.",
    "503": "The upstream is overloaded, or a stage is unavailable.",
    "504": "The upstream or the deadline ran out of time.",
}

_SCHEMAS: Final[dict[str, Any]] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code", "source"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                    "source": {"enum": ["gateway", "provider"]},
                },
            }
        },
    },
    "ChatRequest": {
        "type": "object",
        "description": "OpenAI's CreateChatCompletionRequest. Only what is listed is judged; the rest is forwarded.",
        "required": ["model", "messages"],
        "properties": {
            "model": {"type": "string", "minLength": 1},
            "messages": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["role"],
                    "properties": {
                        "role": {"type": "string"},
                        "content": {"type": ["string", "array", "null"], "items": {"type": "object"}},
                    },
                },
            },
            "stream": {"type": ["boolean", "null"]},
            "stream_options": {"type": ["object", "null"]},
            "max_tokens": {"type": ["integer", "null"], "minimum": 0},
            "max_completion_tokens": {"type": ["integer", "null"], "minimum": 0},
            "n": {"type": ["integer", "null"], "minimum": 0},
            "temperature": {"type": ["number", "null"]},
            "user": {"type": ["string", "null"]},
            "tools": {"type": ["array", "null"]},
            "tool_choice": {"type": ["string", "object", "null"]},
            "response_format": {"type": ["object", "null"]},
        },
        "additionalProperties": True,
    },
    "ChatCompletion": {
        "type": "object",
        "description": "OpenAI's CreateChatCompletionResponse, as the upstream sent it.",
    },
    "Model": {
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {
            "id": {"type": "string"},
            "object": {"const": "model"},
            "created": {"type": "integer"},
            "owned_by": {"type": "string"},
        },
    },
    "ModelList": {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
        },
    },
    "Health": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
}


def _operation(summary: str, tag: str, answers: dict[str, Any], errors: tuple[str, ...]) -> dict[str, Any]:
    failures = {
        status: {"description": _ERRORS[status], "content": {"application/json": {"schema": _ERROR}}}
        for status in errors
    }
    return {"summary": summary, "tags": [tag], "responses": {**answers, **failures}}


def _json(name: str, description: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _raw_paths() -> dict[str, Any]:
    """Describe the routes that are raw handlers, which the framework knows nothing of."""
    chat = _operation("Answer a chat request", "openai", {}, tuple(_ERRORS))
    answer = _json("ChatCompletion", "The answer; server-sent events when `stream` is true.")
    answer["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    chat["responses"] = {"200": answer, **chat["responses"]}
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatRequest"}}}}
    chat |= {"requestBody": body, "security": [{"key": []}]}
    models = _operation("List models", "openai", {"200": _json("ModelList", "What the key may use.")}, ("401", "429"))
    model = _operation("Show a model", "openai", {"200": _json("Model", "The model.")}, ("401", "404", "429"))
    name = {
        "name": "model",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "May contain '/'.",
    }
    model["parameters"] = [name]
    live = _operation("Tell that the process answers", "operations", {"200": _json("Health", "It does.")}, ())
    ready = {"200": _json("Health", "It takes work."), "503": _json("Health", "It is draining.")}
    text = {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    document = {"description": "This document.", "content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "/v1/chat/completions": {"post": chat},
        "/v1/models": {"get": {**models, "security": [{"key": []}]}},
        "/v1/models/{model}": {"get": {**model, "security": [{"key": []}]}},
        "/livez": {"get": live},
        "/readyz": {"get": _operation("Tell whether new work is taken", "operations", ready, ())},
        "/metrics": {"get": _operation("Show metrics", "operations", {"200": text}, ())},
        "/schema": {"get": _operation("Show the API", "operations", {"200": document}, ())},
    }


@cache
def openapi_document() -> bytes:
    """Return the document: the framework's own routes as it describes them, the raw ones as written here."""
    release = version("tierway")
    # An application of its own, never served: the framework's OpenAPI plugin would add pages that load scripts.
    described = Litestar([admin_router()], openapi_config=OpenAPIConfig(title="Tierway", version=release))
    document: dict[str, Any] = described.openapi_schema.to_schema()
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **_SCHEMAS}
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["security"] = [{"key": []}]
            for status in ("400", "401", "403", "404", "429"):
                failure = {"description": _ERRORS[status], "content": {"application/json": {"schema": _ERROR}}}
                operation["responses"][status] = failure
    document["paths"] = {**_raw_paths(), **document["paths"]}
    return msgspec.json.encode(document)


class SchemaRoute:
    """Shows the document."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        """Handle one request."""
        exchange = exchange_of(scope)
        exchange.route = "schema"
        if await allows(scope, send, "GET"):
            await send_answer(send, exchange, 200, [JSON], openapi_document())
