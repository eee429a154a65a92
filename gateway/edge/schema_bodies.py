"""The bodies in the OpenAPI document: what the gateway judges of requests, and what answers hold."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_OPTIONAL_TEXT: Final[Schema] = {"type": ["string", "null"]}
_OPTIONAL_FLAG: Final[Schema] = {"type": ["boolean", "null"]}
_OPTIONAL_NUMBER: Final[Schema] = {"type": ["number", "null"]}
_OPTIONAL_OBJECT: Final[Schema] = {"type": ["object", "null"]}
_OPTIONAL_ARRAY: Final[Schema] = {"type": ["array", "null"]}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_OPTIONAL_COUNT: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}
_CHOICE: Final[Schema] = {"type": ["string", "object", "null"]}
_MODEL: Final[Schema] = {"type": "string", "minLength": 1, "description": "A model, an alias, or `auto`."}
_SAMPLED: Final[Schema] = {"stream": _OPTIONAL_FLAG, "temperature": _OPTIONAL_NUMBER}


def _list_of(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def reference(name: str) -> Schema:
    """Return a reference to one of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def _taken(description: str, required: tuple[str, ...], judged: Schema) -> Schema:
    """Return the schema of a request's body: what is not judged is passed on or translated."""
    said = f"{description}. Only what is listed is judged; the rest is passed on, or translated where it can be."
    return {"type": "object", "description": said, "required": list(required), "properties": judged}


def _given(description: str, **members: Schema) -> Schema:
    """Return the schema of an answer, whose named members are always there."""
    return {"type": "object", "description": description, "required": list(members), "properties": members}


_PART: Final = {"type": "object", "properties": {"type": _TEXT, "text": _TEXT}}
_CHAT_MESSAGE: Final = {
    "type": "object",
    "required": ["role"],
    "properties": {"role": _TEXT, "content": {"type": ["string", "array", "null"], "items": _PART}},
}
_ANTHROPIC_MESSAGE: Final = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": _TEXT, "content": {"type": ["string", "array"], "items": _PART}},
}
_ITEM: Final = {
    "type": "object",
    "properties": {
        "type": _OPTIONAL_TEXT,
        "role": _OPTIONAL_TEXT,
        "content": {"type": ["string", "array", "null"], "items": _PART},
        "output": {"type": ["string", "array", "object", "null"], "items": _PART},
    },
}
_TOKEN_IDS: Final = _list_of({"type": "integer"}, minItems=1)

_ASKED_OF_MESSAGES: Final[Schema] = {
    "model": _MODEL,
    "messages": _list_of(_ANTHROPIC_MESSAGE, minItems=1),
    "system": {"type": ["string", "array", "null"], "items": _PART},
    "max_tokens": _COUNT,
    **_SAMPLED,
    "tools": _OPTIONAL_ARRAY,
    "tool_choice": _OPTIONAL_OBJECT,
    "thinking": _OPTIONAL_OBJECT,
    "metadata": _OPTIONAL_OBJECT,
}

REQUESTS: Final[dict[str, Schema]] = {
    "Feedback": {
        "type": "object",
        "description": "What a caller says of an answer: either a score or a rating.",
        "additionalProperties": False,
        "required": ["request_id"],
        "oneOf": [{"required": ["score"]}, {"required": ["rating"]}],
        "properties": {
            "request_id": {**_TEXT, "minLength": 1, "maxLength": 200, "description": "The answer's `x-request-id`."},
            "score": {"type": "number", "minimum": 0, "maximum": 1, "description": "0: of no use. 1: good."},
            "rating": {"enum": ["good", "bad"]},
            "comment": {**_OPTIONAL_TEXT, "description": "Neither kept nor logged."},
        },
    },
    "ChatRequest": _taken(
        "OpenAI's CreateChatCompletionRequest",
        ("model", "messages"),
        {
            "model": _MODEL,
            "messages": _list_of(_CHAT_MESSAGE, minItems=1),
            **_SAMPLED,
            "stream_options": _OPTIONAL_OBJECT,
            "max_tokens": _OPTIONAL_COUNT,
            "max_completion_tokens": _OPTIONAL_COUNT,
            "n": _OPTIONAL_COUNT,
            "user": _OPTIONAL_TEXT,
            "tools": _OPTIONAL_ARRAY,
            "tool_choice": _CHOICE,
            "response_format": _OPTIONAL_OBJECT,
        },
    ),
    "ResponsesRequest": _taken(
        "OpenAI's CreateResponse",
        ("model",),
        {
            "model": _MODEL,
            "input": {"type": ["string", "array", "null"], "items": _ITEM},
            "instructions": {"type": ["string", "array", "null"], "items": _ITEM},
            **_SAMPLED,
            "stream_options": _OPTIONAL_OBJECT,
            "max_output_tokens": _OPTIONAL_COUNT,
            "user": _OPTIONAL_TEXT,
            "store": _OPTIONAL_FLAG,
            "background": _OPTIONAL_FLAG,
            "previous_response_id": _OPTIONAL_TEXT,
            "conversation": {"type": ["string", "object", "null"], "required": ["id"], "properties": {"id": _TEXT}},
            "tools": _OPTIONAL_ARRAY,
            "tool_choice": _CHOICE,
            "text": _OPTIONAL_OBJECT,
            "reasoning": _OPTIONAL_OBJECT,
        },
    ),
    "MessagesRequest": _taken(
        "Anthropic's request for a message", ("model", "messages", "max_tokens"), _ASKED_OF_MESSAGES
    ),
    "CountTokensRequest": _taken(
        "Anthropic's request for a token count, which may be one for a message",
        ("model", "messages"),
        _ASKED_OF_MESSAGES,
    ),
    "EmbeddingsRequest": _taken(
        "OpenAI's CreateEmbeddingRequest",
        ("model", "input"),
        {
            "model": _MODEL,
            "input": {
                "anyOf": [
                    {"type": "string", "minLength": 1},
                    _list_of(_TEXT, minItems=1),
                    _TOKEN_IDS,
                    _list_of(_TOKEN_IDS, minItems=1),
                ]
            },
            "dimensions": _OPTIONAL_COUNT,
            "encoding_format": _OPTIONAL_TEXT,
            "user": _OPTIONAL_TEXT,
        },
    ),
    "CompletionsRequest": _taken(
        "OpenAI's CreateCompletionRequest",
        ("model",),
        {
            "model": _MODEL,
            "prompt": {"type": ["string", "array", "null"]},
            "suffix": _OPTIONAL_TEXT,
            **_SAMPLED,
            "stream_options": _OPTIONAL_OBJECT,
            "max_tokens": _OPTIONAL_COUNT,
            "n": _OPTIONAL_COUNT,
            "best_of": _OPTIONAL_COUNT,
            "user": _OPTIONAL_TEXT,
        },
    ),
}
"""Bodies of requests by name; names of members may not differ from the judged ones by letter case only."""

_HELLO: Final[Schema] = {"model": "auto", "messages": [{"role": "user", "content": "Say hello."}]}

EXAMPLES: Final[dict[str, Schema]] = {
    "Feedback": {"request_id": "req-37687a762285-00000001", "rating": "good"},
    "ChatRequest": _HELLO,
    "ResponsesRequest": {"model": "auto", "input": "Say hello."},
    "MessagesRequest": {**_HELLO, "max_tokens": 64},
    "CountTokensRequest": _HELLO,
    "EmbeddingsRequest": {"model": "auto", "input": ["Say hello."]},
    "CompletionsRequest": {"model": "auto", "prompt": "Once upon a time"},
}
"""The least that a request of each kind holds."""

ANSWERS: Final[dict[str, Schema]] = {
    "ChatCompletion": _given(
        "OpenAI's CreateChatCompletionResponse; an upstream's own is passed on as it is.",
        choices=_list_of({"type": "object"}),
    ),
    "Response": _given(
        "OpenAI's Response; an upstream's own is passed on as it is.",
        id=_TEXT,
        object={"const": "response"},
        output=_list_of({"type": "object"}),
    ),
    "DeletedResponse": _given(
        "What was deleted.", id=_TEXT, object={"enum": ["response", "response.deleted"]}, deleted={"type": "boolean"}
    ),
    "InputItems": _given(
        "One page of what a response was asked.",
        object={"const": "list"},
        data=_list_of({"type": "object"}),
        first_id=_OPTIONAL_TEXT,
        last_id=_OPTIONAL_TEXT,
        has_more={"type": "boolean"},
    ),
    "Message": _given(
        "Anthropic's Message; an upstream's own is passed on as it is.",
        id=_TEXT,
        type={"const": "message"},
        role=_TEXT,
        content=_list_of({"type": "object"}),
        usage={"type": "object"},
    ),
    "TokenCount": _given("How many tokens a prompt has, counted or estimated.", input_tokens=_COUNT),
    "InputTokens": _given(
        "How many tokens an input has, counted or estimated.",
        object={"const": "response.input_tokens"},
        input_tokens=_COUNT,
    ),
    "CompactedResponse": _given(
        "Items that stand for a conversation, as the upstream made them.", output=_list_of({"type": "object"})
    ),
    "Embeddings": _given(
        "OpenAI's CreateEmbeddingResponse.", object={"const": "list"}, data=_list_of({"type": "object"})
    ),
    "Completion": _given(
        "OpenAI's CreateCompletionResponse; an upstream's own is passed on as it is.",
        choices=_list_of({"type": "object"}),
    ),
    "FeedbackTaken": _given(
        "What became of feedback.",
        object={"const": "feedback"},
        request_id=_TEXT,
        accepted={"const": True},
        score={"type": "number", "minimum": 0, "maximum": 1},
        replaced={"type": "boolean", "description": "Whether the request had feedback before."},
        comment={"enum": ["ignored", None]},
    ),
    "Model": _given(
        "A model, for OpenAI's clients.",
        id=_TEXT,
        object={"const": "model"},
        created={"type": "integer"},
        owned_by=_TEXT,
    ),
    "ModelList": _given("Models, for OpenAI's clients.", object={"const": "list"}, data=_list_of(reference("Model"))),
    "AnthropicModel": _given(
        "A model, for Anthropic's clients.",
        type={"const": "model"},
        id=_TEXT,
        display_name=_TEXT,
        created_at={"type": "string", "format": "date-time"},
    ),
    "AnthropicModelList": _given(
        "One page of models, for Anthropic's clients.",
        data=_list_of(reference("AnthropicModel")),
        has_more={"type": "boolean"},
        first_id=_OPTIONAL_TEXT,
        last_id=_OPTIONAL_TEXT,
    ),
    "Event": {
        "type": "object",
        "description": "One server-sent event of a stream; `data` is a JSON document, or `[DONE]`.",
        "required": ["data"],
        "properties": {"event": _TEXT, "data": _TEXT},
    },
    "Health": _given("Whether the gateway works.", status=_TEXT),
}
"""Bodies of answers by name."""

ERRORS: Final[dict[str, Schema]] = {
    "Error": _given(
        "An error as OpenAI's clients read it, and who failed.",
        error=_given(
            "What went wrong.",
            message=_TEXT,
            type=_TEXT,
            param=_OPTIONAL_TEXT,
            code=_OPTIONAL_TEXT,
            source={"enum": ["gateway", "provider"]},
        ),
    ),
    "AnthropicError": _given(
        "An error as Anthropic's clients read it.",
        type={"const": "error"},
        error=_given("What went wrong.", type=_TEXT, message=_TEXT),
        request_id=_TEXT,
    ),
}
"""Bodies of errors by name."""
