"""The routes in the OpenAPI document that the framework knows nothing of, as they are raw handlers."""

from __future__ import annotations

from typing import Any, Final, Literal

from gateway.edge.relay import ENDPOINTS
from gateway.edge.schema_bodies import EXAMPLES, Schema, reference

SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"x-api-key": []}, {"api-key": []}]
"""Any one of the ways to send a key."""

SECURITY_SCHEMES: Final[dict[str, Schema]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "OpenAI's clients; it wins over the others."},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "Anthropic's clients."},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key", "description": "Azure's clients."},
}

_REASONS: Final = {
    "400": "The request is malformed, a policy refuses it, or the model's upstream has no words for it.",
    "401": "The key is missing, unknown, revoked or expired.",
    "403": "The key may not do this.",
    "404": "There is no such model, address, response or conversation.",
    "405": "The address answers other methods; `Allow` lists them.",
    "408": "The body stopped arriving.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or compressed in an unknown way.",
    "429": "A limit is reached; `Retry-After` says when to ask again.",
    "502": "The upstream could not be reached, or what it sent is no answer.",
    "503": "The upstream is overloaded, a stage is unavailable, or the gateway is stopping.",
    "504": "The upstream or the deadline ran out of time.",
    "529": "The upstream is overloaded, or the gateway is stopping.",
    "default": "The upstream refused: its own status.",
}

Words = Literal["openai", "anthropic", "either"]
"""Whose clients an operation's errors are for."""

_ERROR_BODIES: Final[dict[Words, Schema]] = {
    "openai": reference("Error"),
    "anthropic": reference("AnthropicError"),
    "either": {"anyOf": [reference("Error"), reference("AnthropicError")]},
}

_ALWAYS: Final = ("401", "405", "429", "503")
"""Statuses of every operation that needs a key."""

_ADMIN: Final = ("400", "401", "403", "404", "405", "429", "503")
_ASKED: Final = ("400", *_ALWAYS, "403", "404", "408", "413", "415", "502", "504", "default")
_PASSED_ON: Final = ("400", *_ALWAYS, "403", "404", "408", "502", "504", "default")


def failures(*statuses: str, words: Words = "openai") -> dict[str, Schema]:
    """Return the error answers with these statuses, each a reference into `FAILURES`."""
    return {status: {"$ref": f"#/components/responses/{words}-{status}"} for status in sorted(statuses)}


FAILURES: Final[dict[str, Schema]] = {
    f"{words}-{status}": {"description": reason, "content": {"application/json": {"schema": body}}}
    for words, body in _ERROR_BODIES.items()
    for status, reason in _REASONS.items()
}
"""Error answers by whose clients they are for, and status."""


def admin_failures() -> dict[str, Schema]:
    """Return the error answers of the operators' API."""
    return failures(*_ADMIN)


def _answer(body: Schema, description: str, *, streams: bool = False) -> Schema:
    content: Schema = {"application/json": {"schema": body}}
    if streams:
        content["text/event-stream"] = {"schema": reference("Event")}
        description += " Server-sent events when `stream` is true."
    request_id = {"schema": {"type": "string"}, "description": "What the request log calls it."}
    return {"description": description, "content": content, "headers": {"x-request-id": request_id}}


def _operation(name: str, summary: str, tag: str, responses: dict[str, Schema], **more: Any) -> Schema:
    return {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        "responses": responses,
        "security": SECURITY,
        **more,
    }


def _asks_model(name: str, summary: str, asked: str, given: str, *, streams: bool, words: Words = "openai") -> Schema:
    """Return the path of an operation on a model."""
    statuses = _ASKED if words == "openai" else (*_ASKED, "529")
    responses = {"200": _answer(reference(given), "The answer.", streams=streams)} | failures(*statuses, words=words)
    content = {"schema": reference(asked), "examples": {"least": {"value": EXAMPLES[asked]}}}
    body = {"required": True, "content": {"application/json": content}}
    return {"post": _operation(name, summary, words, responses, requestBody=body)}


def _parameter(name: str, where: Literal["path", "query", "header"], schema: Schema, description: str) -> Schema:
    return {"name": name, "in": where, "required": where == "path", "schema": schema, "description": description}


_STEP: Final[Schema] = {"type": "string", "minLength": 1}
_RESPONSE_ID: Final = _parameter("response_id", "path", _STEP, "The response's id.")
_VERSION: Final = _parameter(
    "anthropic-version", "header", {"type": "string"}, "Whether the answer is for Anthropic's clients: send any value."
)


def _links() -> dict[str, Schema]:
    """Return where the id of a new response leads."""
    found = {"response_id": "$response.body#/id"}
    names = ("getResponse", "deleteResponse", "listInputItems")
    return {name: {"operationId": name, "parameters": found} for name in names}


def _page(most: int, *places: str) -> list[Schema]:
    limit = {"type": "integer", "minimum": 1, "maximum": most, "default": 20}
    after = [_parameter(place, "query", {"type": "string"}, "The id next to which the page lies.") for place in places]
    return [_parameter("limit", "query", limit, "How many there are on one page."), *after]


def _of_response(name: str, summary: str, answer: Schema, *parameters: Schema) -> Schema:
    responses = {"200": answer} | failures(*_PASSED_ON)
    return _operation(name, summary, "openai", responses, parameters=[_RESPONSE_ID, *parameters])


def _stored_paths() -> dict[str, Schema]:
    response = _answer(reference("Response"), "The response.", streams=True)
    streamed = _parameter("stream", "query", {"type": "boolean"}, "Only of responses made in the background.")
    order = _parameter("order", "query", {"enum": ["asc", "desc"]}, "Newest first unless `asc`.")
    deleted = _answer(reference("DeletedResponse"), "It is deleted.")
    cancelled = _answer(reference("Response"), "It is cancelled.")
    items = _answer(reference("InputItems"), "One page of items.")
    below = "/v1/responses/{response_id}"
    return {
        below: {
            "get": _of_response("getResponse", "Show a stored response", response, streamed),
            "delete": _of_response("deleteResponse", "Delete a stored response", deleted),
        },
        below + "/cancel": {
            "post": _of_response("cancelResponse", "Cancel a response made in the background", cancelled)
        },
        below + "/input_items": {
            "get": _of_response("listInputItems", "List what a response was asked", items, *_page(100, "after"), order)
        },
    }


def _model_paths() -> dict[str, Schema]:
    statuses = failures(*_ALWAYS, "400", "404", words="either")
    for_either = {"anyOf": [reference("ModelList"), reference("AnthropicModelList")]}
    one_for_either = {"anyOf": [reference("Model"), reference("AnthropicModel")]}
    name = _parameter("model", "path", _STEP, "May contain '/'.")
    listed = {"200": _answer(for_either, "What the key may use.")} | statuses
    shown = {"200": _answer(one_for_either, "The model.")} | statuses
    pages = _page(1000, "before_id", "after_id")
    for page in pages:
        page["description"] += " For Anthropic's clients."
    return {
        "/v1/models": {"get": _operation("listModels", "List models", "models", listed, parameters=[_VERSION, *pages])},
        "/v1/models/{model}": {
            "get": _operation("getModel", "Show a model", "models", shown, parameters=[name, _VERSION])
        },
    }


def _feedback() -> Schema:
    taken = {"200": _answer(reference("FeedbackTaken"), "It was taken.")}
    content = {"schema": reference("Feedback"), "examples": {"least": {"value": EXAMPLES["Feedback"]}}}
    return _operation(
        "giveFeedback",
        "Say how good an answer was",
        "openai",
        taken | failures(*_ALWAYS, "400", "404", "408", "413", "415"),
        requestBody={"required": True, "content": {"application/json": content}},
    )


def _relayed_paths() -> dict[str, Schema]:
    paths: dict[str, Schema] = {}
    below = _parameter("path", "path", _STEP, "What follows; may contain '/'.")
    answer = {"description": "The upstream's answer as it is.", "content": {"*/*": {}}}
    for family in ENDPOINTS:
        for path, parameters in ((f"/v1/{family}", []), (f"/v1/{family}/{{path}}", [below])):
            paths[path] = {
                method: _operation(
                    f"{method}_{family}{'_below' if parameters else ''}",
                    f"Pass a request to '{family}' on to the upstream that 'relay.upstream' names",
                    "relayed",
                    {"200": answer} | failures(*_PASSED_ON),
                    parameters=parameters,
                    **({"requestBody": {"content": {"*/*": {}}}} if method == "post" else {}),
                )
                for method in ("get", "post", "delete")
            }
    judged = paths["/v1/moderations"]["post"]
    judged["summary"] = "Judge texts, by the gateway's own detectors or by the upstream that the settings name"
    judged["responses"] |= failures("408", "413", "415")
    return paths


def _operations_paths() -> dict[str, Schema]:
    healthy = _answer(reference("Health"), "It does.")
    ready = {"200": healthy, "503": _answer(reference("Health"), "It is draining.")} | failures("405")
    text = {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    shown = {
        "/livez": _operation("live", "Tell that the process answers", "operations", {"200": healthy} | failures("405")),
        "/readyz": _operation("ready", "Tell whether new work is taken", "operations", ready),
        "/metrics": _operation("metrics", "Show metrics", "operations", {"200": text} | failures("405")),
        "/schema": _operation(
            "schema", "Show the API", "operations", {"200": _answer({"type": "object"}, "It.")} | failures("405")
        ),
    }
    return {path: {"get": {**operation, "security": []}} for path, operation in shown.items()}


def raw_paths() -> dict[str, Schema]:
    """Return every path but the operators'."""
    asks = _asks_model
    responses = asks("createResponse", "Make a response", "ResponsesRequest", "Response", streams=True)
    responses["post"]["responses"]["200"]["links"] = _links()
    return {
        "/v1/chat/completions": asks(
            "createChatCompletion", "Answer a conversation", "ChatRequest", "ChatCompletion", streams=True
        ),
        "/v1/responses": responses,
        "/v1/responses/input_tokens": asks(
            "countInputTokens", "Count an input's tokens", "ResponsesRequest", "InputTokens", streams=False
        ),
        "/v1/responses/compact": asks(
            "compactResponse", "Shorten a conversation", "ResponsesRequest", "CompactedResponse", streams=False
        ),
        **_stored_paths(),
        "/v1/messages": asks(
            "createMessage", "Answer a conversation", "MessagesRequest", "Message", streams=True, words="anthropic"
        ),
        "/v1/messages/count_tokens": asks(
            "countTokens",
            "Count a prompt's tokens",
            "CountTokensRequest",
            "TokenCount",
            streams=False,
            words="anthropic",
        ),
        "/v1/embeddings": asks("createEmbedding", "Embed texts", "EmbeddingsRequest", "Embeddings", streams=False),
        "/v1/completions": asks(
            "createCompletion", "Continue a text", "CompletionsRequest", "Completion", streams=True
        ),
        "/v1/feedback": {"post": _feedback()},
        **_model_paths(),
        **_relayed_paths(),
        **_operations_paths(),
    }
