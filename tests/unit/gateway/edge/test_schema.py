"""The OpenAPI document and the application say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.domain import chat, completions, embeddings, messages, responses
from gateway.domain.document import Judged
from gateway.edge.answering import OPERATIONS
from gateway.edge.relay import ENDPOINTS
from gateway.edge.responses import _METHODS as OF_RESPONSES
from gateway.edge.routes import public_app
from gateway.edge.schema import openapi_document
from gateway.settings import built_in

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")

MOUNTED = {"/v1/models": "/v1/models/{model}"} | {f"/v1/{name}": f"/v1/{name}/{{path}}" for name in ENDPOINTS}
"""Routes that answer below their path too, with the path at which the document shows it."""


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(openapi_document())


def test_the_document_describes_every_route_and_no_other(document: Any) -> None:
    registered = set(registered_paths())
    expected = {path for path in registered if not is_short(path, registered)}
    expected |= {below for path, below in MOUNTED.items() if path in registered}
    expected |= {f"/v1/responses/{{response_id}}{'/' * bool(verb)}{verb}" for verb in OF_RESPONSES}

    assert set(document["paths"]) == expected


def test_every_path_below_v1_is_there_without_it() -> None:
    registered = set(registered_paths())

    assert {path.removeprefix("/v1") for path in registered if path.startswith("/v1/")} <= registered


def registered_paths() -> Iterator[str]:
    current: Any = SimpleNamespace(
        version=SimpleNamespace(settings=built_in()), telemetry=None, state=SimpleNamespace(memory=None)
    )
    app: Any = public_app(current, with_operations=True)
    for path in [*app._hot, *(route.path for route in app._app.routes)]:
        yield re.sub(r"\{(\w+):\w+\}", r"{\1}", path).rstrip("/")


def is_short(path: str, registered: set[str]) -> bool:
    return "/v1" + path in registered


def test_operations_on_models_and_on_responses_have_their_methods(document: Any) -> None:
    paths = document["paths"]

    assert all(set(paths["/v1" + operation.path]) == {"post"} for operation in OPERATIONS)
    for verb, methods in OF_RESPONSES.items():
        path = "/v1/responses/{response_id}" + ("/" + verb if verb else "")
        assert {method.upper() for method in paths[path]} == set(methods)


@pytest.mark.parametrize(
    ("name", "judged"),
    [
        ("ChatRequest", chat._JUDGED),
        ("ResponsesRequest", responses._JUDGED),
        ("MessagesRequest", messages._JUDGED),
        ("CountTokensRequest", messages._JUDGED),
        ("EmbeddingsRequest", embeddings._JUDGED),
        ("CompletionsRequest", completions._JUDGED),
    ],
)
def test_bodies_have_the_members_and_types_that_are_judged(
    name: str, judged: Mapping[str, Judged], document: Any
) -> None:
    described = document["components"]["schemas"][name]["properties"]

    assert {member: types_of(schema) for member, schema in described.items()} == {
        member: frozenset(TYPES[kind] for kind in expected.types if kind is not int or float not in expected.types)
        for member, expected in judged.items()
    }


TYPES = {
    str: "string",
    list: "array",
    dict: "object",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def types_of(schema: Mapping[str, Any]) -> frozenset[str]:
    if "anyOf" in schema:
        return frozenset().union(*map(types_of, schema["anyOf"]))
    kinds = schema["type"]
    return frozenset([kinds] if isinstance(kinds, str) else kinds)


def test_every_reference_leads_somewhere(document: Any) -> None:
    named = re.findall(r"#/components/(\w+)/([\w-]+)", openapi_document().decode())

    assert named
    assert all(name in document["components"][section] for section, name in named)


def test_operations_have_names_of_their_own(document: Any) -> None:
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]

    assert len(names) == len(set(names))


def test_anthropics_clients_are_shown_their_own_errors(document: Any) -> None:
    answers = dict(document["paths"]["/v1/messages"]["post"]["responses"])
    del answers["200"]
    failures = [document["components"]["responses"][answer["$ref"].rpartition("/")[2]] for answer in answers.values()]

    assert {failure["content"]["application/json"]["schema"]["$ref"] for failure in failures} == {
        "#/components/schemas/AnthropicError"
    }
    assert "529" in answers


def test_a_key_may_be_sent_as_any_of_the_clients_do(document: Any) -> None:
    schemes = document["components"]["securitySchemes"]

    assert [set(way) for way in document["paths"]["/v1/messages"]["post"]["security"]] == [{name} for name in schemes]
    assert document["paths"]["/livez"]["get"]["security"] == []
