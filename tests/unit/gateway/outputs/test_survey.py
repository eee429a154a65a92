from __future__ import annotations

from typing import Any

import pytest

from gateway.outputs.survey import MAX_CHAIN, MAX_DEPTH, MAX_NODES, MAX_PATHS, Survey, UnboundedError, resolve

TEXT = {"type": "string"}


def doubling(times: int) -> dict[str, Any]:
    """Return a schema in which each definition names the next one twice."""
    twice = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]} for i in range(times)}
    return {"$ref": "#/$defs/d0", "$defs": {**twice, f"d{times}": TEXT}}


def chain(length: int) -> dict[str, Any]:
    """Return a schema of so many that hold for one value, each naming the next."""
    defs = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(length - 2)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{length - 2}": TEXT}}


def obstacle(schema: Any) -> str:
    with pytest.raises(UnboundedError) as caught:
        Survey(schema)
    return caught.value.why


def test_a_value_costs_what_its_place_in_the_schema_costs() -> None:
    survey = Survey({"properties": {"a": {"allOf": [{}, {}]}, "b": {}}, "additionalProperties": {}})

    assert survey.paths == [1, 3]
    assert (survey.at(0), survey.at(1), survey.at(40)) == (1, 3, 3)


def test_members_named_apart_are_not_added_up() -> None:
    assert Survey({"properties": {f"p{i}": {} for i in range(7)}}).paths == [1, 1]


def test_patterns_and_names_are_added_up() -> None:
    survey = Survey({"patternProperties": {"a": {}, "b": {}}, "propertyNames": {"pattern": "c"}})

    assert survey.paths[1] == 2 + 2
    assert (survey.patterns, survey.expressions) == (2, 3)


def test_alternatives_of_alternatives_multiply() -> None:
    few, more = Survey(doubling(3)), Survey(doubling(6))

    assert more.paths[0] > 7 * few.paths[0]
    assert Survey(doubling(15)).is_cut


def test_a_schema_that_contains_itself_is_counted_to_the_deepest_answer() -> None:
    survey = Survey({"properties": {"next": {"$ref": "#"}, "value": TEXT}})

    assert len(survey.paths) == MAX_DEPTH
    assert survey.at(MAX_DEPTH - 1) == 2
    assert survey.at(MAX_DEPTH) is None


def test_a_schema_that_contains_itself_many_times_is_counted_until_it_is_too_much() -> None:
    schema = {"anyOf": [{"properties": {"next": {"$ref": "#"}}} for _ in range(10)]}

    survey = Survey(schema)

    assert survey.is_cut
    assert 2 <= len(survey.paths) < 8
    assert survey.paths[-1] <= MAX_PATHS


def test_what_stands_beside_unevaluated_members_counts_more() -> None:
    plain, again = Survey({"allOf": [TEXT]}), Survey({"allOf": [TEXT], "unevaluatedProperties": False})

    assert again.paths[0] > 2 * plain.paths[0]


def test_a_long_enumeration_counts_more() -> None:
    assert Survey({"enum": list(range(800))}).paths[0] > 90


@pytest.mark.parametrize(
    "reference",
    ["http://127.0.0.1/x", "file:///etc/passwd", "other.json", "#anchor", "#/nowhere", "#/$defs/0/x", "", 5, None],
)
def test_only_references_to_parts_of_the_schema_are_followed(reference: Any) -> None:
    assert obstacle({"properties": {"a": {"$ref": reference}}, "$defs": {}}) == "reference"


@pytest.mark.parametrize("keyword", ["$dynamicRef", "$recursiveRef"])
def test_dynamic_references_are_not_followed(keyword: str) -> None:
    assert obstacle({"items": {keyword: "#"}}) == "reference"


@pytest.mark.parametrize("name", ["$id", "id"])
def test_a_part_with_an_address_of_its_own_would_change_what_references_mean(name: str) -> None:
    assert obstacle({"items": {name: "http://x/y"}}) == "reference"
    assert Survey({name: "http://x/y"}).paths == [1]
    assert Survey({"properties": {name: TEXT}}).paths == [1, 1]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"not": {"$ref": "#"}}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"if": {"$ref": "#/$defs/b"}}, "b": {"then": {"$ref": "#/$defs/a"}}}},
    ],
)
def test_a_schema_that_leads_back_to_itself_at_once_is_not_counted(schema: dict[str, Any]) -> None:
    assert obstacle(schema) == "cycle"


def test_a_chain_of_schemas_for_one_value_has_a_longest_length() -> None:
    assert len(Survey(chain(MAX_CHAIN)).paths) == 1
    assert obstacle(chain(MAX_CHAIN + 1)) == "schema_too_deep"
    assert obstacle(chain(MAX_CHAIN * 50)) == "schema_too_deep"


def test_a_long_chain_is_found_although_its_end_was_walked_before() -> None:
    members = {"end": {"$ref": f"#/$defs/d{MAX_CHAIN // 2}"}, "all": {"$ref": "#/$defs/d0"}}

    assert obstacle({"properties": members, "$defs": chain(MAX_CHAIN + 4)["$defs"]}) == "schema_too_deep"


def test_a_schema_has_a_largest_number_of_parts() -> None:
    assert not Survey({"prefixItems": [{} for _ in range(MAX_NODES - 1)]}).is_cut
    assert obstacle({"prefixItems": [{} for _ in range(MAX_NODES)]}) == "schema_too_large"


@pytest.mark.parametrize("schema", [None, True, [], "x", 5])
def test_what_is_no_object_costs_nothing(schema: Any) -> None:
    assert Survey(schema).at(9) == 0


@pytest.mark.parametrize(("pointer", "found"), [("", "all"), ("/a~1b/1", 2), ("/~0", 3), ("/%41", 4)])
def test_a_pointer_names_a_part(pointer: str, found: Any) -> None:
    document = {"a/b": [1, 2], "~": 3, "%41": 4}

    assert resolve(document, pointer) == (document if found == "all" else found)


@pytest.mark.parametrize("pointer", ["/x", "/a/2", "/a/-1", "/a/x", "/a/0/0", "/a/99999999999999999999", "/a/²"])
def test_a_pointer_to_nothing_is_a_lookup_error(pointer: str) -> None:
    with pytest.raises(LookupError):
        resolve({"a": [1, 2]}, pointer)
