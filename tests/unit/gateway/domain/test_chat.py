from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.chat import edits_for_usage, read_chat
from gateway.domain.document import without_lone_surrogates
from gateway.domain.errors import InvalidRequestError
from tests.support.build import chat_body

JUDGED_IN_MESSAGE = ("role", "content", "name", "tool_calls", "tool_call_id", "refusal")
JUDGED_IN_PART = ("type", "text", "image_url", "input_audio", "file", "refusal")


def body_with(members: bytes = b"", message: bytes = b"", content: bytes = b'"Hello"') -> bytes:
    """Return a good body with more members, at top level or in its message, written by hand."""
    return b'{"model":"m","messages":[{"role":"user","content":%b%b}]%b}' % (content, message, members)


def refused(body: bytes) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        read_chat(body)
    assert caught.value.status == 400
    return caught.value


def test_what_is_judged_is_read() -> None:
    request = read_chat(
        chat_body(
            "Hello",
            model="gpt-5",
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=20,
            max_completion_tokens=10,
        )
    )

    assert request.model == "gpt-5"
    assert len(request.messages) == 1
    assert request.stream
    assert request.wants_usage
    assert request.max_output_tokens == 10


def test_what_is_absent_has_its_default() -> None:
    request = read_chat(chat_body())

    assert not request.stream
    assert not request.wants_usage
    assert request.max_output_tokens is None


@pytest.mark.parametrize(
    "name",
    [
        "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "temperature", "user", "tools",
        "tool_choice", "response_format",
    ],
)  # fmt: skip
def test_null_stands_for_absent(name: str) -> None:
    request = read_chat(body_with(b',"%b":null' % name.encode()))

    assert not request.stream
    assert not request.wants_usage
    assert request.max_output_tokens is None


@pytest.mark.parametrize(
    ("limits", "smaller"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 5}, 5),
        ({"max_tokens": 5, "max_completion_tokens": 9}, 5),
        ({"max_tokens": 9, "max_completion_tokens": 5}, 5),
        ({"max_tokens": None, "max_completion_tokens": 5}, 5),
        ({"max_tokens": 5, "max_completion_tokens": None}, 5),
        ({"max_tokens": 0, "max_completion_tokens": 5}, 0),
    ],
)
def test_the_smaller_of_the_two_output_limits_counts(limits: dict[str, Any], smaller: int) -> None:
    request = read_chat(chat_body(**limits))

    assert request.max_output_tokens == smaller


@pytest.mark.parametrize("options", [{"include_usage": False}, {"include_usage": None}, {"other": True}, {}])
def test_usage_is_wanted_only_when_the_caller_says_true(options: dict[str, Any]) -> None:
    request = read_chat(chat_body(stream=True, stream_options=options))

    assert not request.wants_usage


@pytest.mark.parametrize(
    "body",
    [
        b"", b" \n", b"{", b"nonsense", b"{'model': 'm'}", body_with() + b"x", body_with() + body_with(),
        b"\xef\xbb\xbf" + body_with(), body_with(b',"seed":NaN'), body_with(b',"seed":Infinity'),
        body_with(b',"seed":01'), body_with(b',"seed":1.'), body_with(b',"seed":-'), body_with(b',"seed":nul'),
        body_with(b","), body_with(b',"a"'), body_with(content=b'"\\q"'), body_with(content=b'"\\u12g4"'),
        body_with(content=b'"a\nb"'), body_with(content=b'"\\ud83d\\u12g4"'),
    ],
)  # fmt: skip
def test_broken_json_is_refused(body: bytes) -> None:
    error = refused(body)

    assert error.code == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"true", b"[{}]", b'"\\ud800"', b'["\\ud800"]'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    error = refused(body)

    assert error.code == "invalid_json"
    assert "object" in error.message


def test_an_empty_body_is_called_empty() -> None:
    assert "empty" in refused(b"").message


@pytest.mark.parametrize(
    "body", [body_with(content=b'"\xff"'), body_with(content=b'"\xed\xa0\x80"'), b'{"\xc0\xaf":1}', b"\xff"]
)
def test_bytes_that_are_not_utf8_are_refused(body: bytes) -> None:
    error = refused(body)

    assert error.code == "invalid_json"
    assert "UTF-8" in error.message


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("where", ["metadata", "messages", "content"])
def test_ten_thousand_levels_are_refused(opening: bytes, where: str) -> None:
    closing = b"]" if opening == b"[" else b"}"
    deep = opening * 10_000 + b"1" + closing * 10_000
    bodies = {
        "metadata": body_with(b',"metadata":' + deep),
        "messages": b'{"model":"m","messages":%b}' % deep,
        "content": body_with(content=deep),
    }

    error = refused(bodies[where])

    assert error.code in ("invalid_json", "invalid_type")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "model"),
        (b'{"messages":[{"role":"user"}]}', "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":[{"content":"x"}]}', "messages[0].role"),
        (b'{"model":"m","messages":[{"role":"user"},{}]}', "messages[1].role"),
        (b'{"model":"m","messages":[{"role":null}]}', "messages[0].role"),
    ],
)
def test_a_missing_field_is_named(body: bytes, param: str) -> None:
    error = refused(body)

    assert error.param == param
    assert param in error.message
    assert error.code in ("missing_required_parameter", "invalid_type")


@pytest.mark.parametrize(("name", "body"), [
    ("model", b'{"model":"","messages":[{"role":"user"}]}'),
    ("messages", b'{"model":"m","messages":[]}'),
])  # fmt: skip
def test_an_empty_required_field_is_refused(name: str, body: bytes) -> None:
    error = refused(body)

    assert error.param == name
    assert "empty" in error.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stream", '"true"'), ("stream", "1"), ("stream", "[]"), ("stream_options", "true"),
        ("stream_options", "[]"), ("max_tokens", "-1"), ("max_tokens", "1.5"), ("max_tokens", '"1"'),
        ("max_completion_tokens", "-1"), ("max_completion_tokens", "{}"), ("max_completion_tokens", "true"),
        ("n", "-1"), ("n", '"2"'), ("temperature", '"0"'), ("temperature", "true"), ("user", "1"), ("user", "[]"),
        ("tools", "{}"), ("tools", '"x"'), ("tool_choice", "1"), ("tool_choice", "[]"),
        ("response_format", '"json"'), ("response_format", "[]"),
    ],
)  # fmt: skip
def test_a_judged_field_of_the_wrong_type_is_named(name: str, value: str) -> None:
    error = refused(body_with(f',"{name}":{value}'.encode()))

    assert error.param == name
    assert error.code == "invalid_type"
    assert f"'{name}' must be" in error.message


@pytest.mark.parametrize("value", [b"1", b"null", b"[]", b"{}", b"true"])
def test_a_model_that_is_no_string_is_refused(value: bytes) -> None:
    error = refused(b'{"model":%b,"messages":[{"role":"user"}]}' % value)

    assert error.param == "model"


@pytest.mark.parametrize("value", [b'"x"', b"1", b"null", b"{}", b"true"])
def test_messages_that_are_no_array_are_refused(value: bytes) -> None:
    error = refused(b'{"model":"m","messages":%b}' % value)

    assert error.param == "messages"
    assert error.code == "invalid_type"


@pytest.mark.parametrize("value", [b'"x"', b"1", b"null", b"[]"])
def test_a_message_that_is_no_object_is_refused(value: bytes) -> None:
    error = refused(b'{"model":"m","messages":[{"role":"user"},%b]}' % value)

    assert (error.param or "").startswith("messages")
    assert error.code == "invalid_type"


@pytest.mark.parametrize("role", [b"1", b"[]", b"{}", b"true"])
def test_a_role_that_is_no_string_is_refused(role: bytes) -> None:
    error = refused(b'{"model":"m","messages":[{"role":%b}]}' % role)

    assert error.param == "messages[0].role"


@pytest.mark.parametrize("content", [b"1", b"true", b"{}", b'["x"]', b"[[]]", b"[null]"])
def test_content_of_the_wrong_type_is_refused(content: bytes) -> None:
    error = refused(body_with(content=content))

    assert (error.param or "").startswith("messages[0].content")
    assert error.code == "invalid_type"


@pytest.mark.parametrize("content", [b'"x"', b"null", b"[]", b'[{"type":"text","text":"x"}]', b'[{"type":"new"}]'])
def test_content_that_is_text_null_or_parts_is_taken(content: bytes) -> None:
    request = read_chat(body_with(content=content))

    assert len(request.messages) == 1


def test_fields_nobody_judges_may_hold_anything() -> None:
    body = body_with(b',"seed":[{}],"new":{"a":{"b":null}},"top_p":"x"', message=b',"audio":{"id":1}')

    assert read_chat(body).body == body


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n", "user", "max_tokens", "temperature"])
@pytest.mark.parametrize("spelling", ["plain", "escaped"])
def test_a_judged_field_that_stands_twice_is_refused(name: str, spelling: str) -> None:
    again = name if spelling == "plain" else f"{name[:-1]}\\u{ord(name[-1]):04x}"
    first = "" if name in ("model", "messages") else f'"{name}":null,'
    body = '{%s"model":"m","messages":[{"role":"user"}],"%s":null}' % (first, again)  # noqa: UP031  braces

    error = refused(body.encode())

    assert error.param == name
    assert error.code == "duplicate_parameter"


@pytest.mark.parametrize("name", JUDGED_IN_MESSAGE)
@pytest.mark.parametrize("spelling", ["plain", "escaped"])
def test_a_judged_field_that_stands_twice_in_a_message_is_refused(name: str, spelling: str) -> None:
    again = name if spelling == "plain" else f"\\u{ord(name[0]):04X}{name[1:]}"
    first = "" if name == "role" else f',"{name}":null'
    body = '{"model":"m","messages":[{"role":"system"},{"role":"user"%s,"%s":null}]}' % (first, again)  # noqa: UP031

    error = refused(body.encode())

    assert error.param == f"messages[1].{name}"
    assert error.code == "duplicate_parameter"


@pytest.mark.parametrize("name", JUDGED_IN_PART)
@pytest.mark.parametrize("spelling", ["plain", "escaped"])
def test_a_judged_field_that_stands_twice_in_a_part_is_refused(name: str, spelling: str) -> None:
    again = name if spelling == "plain" else f"\\u{ord(name[0]):04x}{name[1:]}"
    parts = '[{"type":"text"},{"%s":"a","%s":"b"}]' % (name, again)  # noqa: UP031  braces

    error = refused(body_with(content=parts.encode()))

    assert error.param == f"messages[0].content[1].{name}"
    assert error.code == "duplicate_parameter"


def test_a_repeated_field_is_noticed_beside_half_a_surrogate_pair() -> None:
    error = refused(body_with(b',"stream":true,"stream":false', content=b'"\\ud83d"'))

    assert error.param == "stream"


@pytest.mark.parametrize(
    "spelling", ["Model", "MODEL", "mod\\u0045l", "Me\u017f\u017fages", "\ufb06ream", "TEMPERATURE"]
)
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_lookalike_of_a_judged_field_is_refused(spelling: str, place: str) -> None:
    member = f'"{spelling}":null'
    good = '"model":"m","messages":[{"role":"user"}]'
    body = "{%s}" % ",".join([member, good] if place == "before" else [good, member])  # noqa: UP031  braces

    error = refused(body.encode())

    assert error.code == "ambiguous_parameter"
    assert error.param in ("model", "messages", "stream", "temperature")


@pytest.mark.parametrize("name", JUDGED_IN_MESSAGE)
def test_a_lookalike_of_a_judged_field_in_a_message_is_refused(name: str) -> None:
    error = refused(body_with(message=b',"%b":null' % name.title().encode()))

    assert error.code == "ambiguous_parameter"
    assert error.param == f"messages[0].{name}"


@pytest.mark.parametrize("name", JUDGED_IN_PART)
def test_a_lookalike_of_a_judged_field_in_a_part_is_refused(name: str) -> None:
    error = refused(body_with(content=b'[{"type":"text","%b":"x"}]' % name.upper().encode()))

    assert error.code == "ambiguous_parameter"
    assert error.param == f"messages[0].content[0].{name}"


def test_repeated_fields_nobody_judges_are_passed_on() -> None:
    body = body_with(b',"new":1,"new":2', message=b',"x":1,"x":2', content=b'[{"type":"text","y":1,"y":2}]')

    request = read_chat(body)

    assert request.edited({"model": b'"n"'}) == body.replace(b'"m"', b'"n"')


def test_a_name_spelt_with_escapes_is_judged_and_edited_as_what_it_means() -> None:
    body = b'{"mod\\u0065l":"m","messages":[{"role":"user"}]}'

    request = read_chat(body)

    assert request.model == "m"
    assert request.edited({"model": b'"n"'}) == b'{"mod\\u0065l":"n","messages":[{"role":"user"}]}'


def test_half_a_surrogate_pair_is_accepted_and_forwarded_as_it_came() -> None:
    body = body_with(b',"user":"\\uD83D"', content=b'"cut \\ud83d"')

    request = read_chat(body)

    assert request.body == body
    assert request.edited({"model": b'"n"'}) == body.replace(b'"m"', b'"n"')


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        (rb"\ud83d", rb"\ufffd"),
        (rb"\ude00", rb"\ufffd"),
        (rb"\ud83d\ude00", rb"\ud83d\ude00"),
        (rb"\ud83d\ud83d\ude00", rb"\ufffd\ud83d\ude00"),
        (rb"\ude00\ud83d", rb"\ufffd\ufffd"),
        (rb"\\ud83d", rb"\\ud83d"),
        (rb"\\\ud83d", rb"\\\ufffd"),
        (rb"\n\u0041", rb"\n\u0041"),
    ],
)
def test_only_unpaired_surrogates_are_replaced(text: bytes, readable: bytes) -> None:
    assert without_lone_surrogates(text) == readable


def test_odd_white_space_survives_an_edit() -> None:
    body = b' {\t"a" :\n[ 1,\r\n2 ] , "model"\t:  "m"  ,"messages":[ {"role" : "user"} ] , "z":1E0 }\n'

    edited = read_chat(body).edited({"model": b'"other"'})

    assert edited == body.replace(b'"m"', b'"other"')


def test_several_fields_are_edited_at_once() -> None:
    body = body_with(b',"stream":true')

    edited = read_chat(body).edited({"stream": b"false", "model": b'"n"'})

    assert edited == body.replace(b'"m"', b'"n"').replace(b"true", b"false")


def test_a_name_inside_a_value_is_no_field() -> None:
    body = b'{"metadata":{"model":"x\\"model\\":"},"model":"m","messages":[{"role":"user","content":"\\"model\\":1"}]}'

    edited = read_chat(body).edited({"model": b'"n"'})

    assert edited == body.replace(b'"model":"m"', b'"model":"n"')


def test_a_field_that_is_absent_is_put_first() -> None:
    body = b"  " + body_with()

    edited = read_chat(body).edited({"stream_options": b'{"include_usage":true}'})

    assert edited == body.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)


def test_the_edit_for_usage_keeps_the_other_stream_options() -> None:
    request = read_chat(chat_body(stream=True, stream_options={"include_obfuscation": False}))

    sent = json.loads(request.edited(edits_for_usage(request.document)))

    assert sent["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_a_caller_who_asks_for_usage_needs_no_edit() -> None:
    request = read_chat(chat_body(stream=True, stream_options={"include_usage": True}))

    assert edits_for_usage(request.document) == {}


def test_a_caller_without_stream_options_gets_them() -> None:
    request = read_chat(chat_body(stream=True))

    assert json.loads(edits_for_usage(request.document)["stream_options"]) == {"include_usage": True}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw good requests with unknown members around the judged ones, written in odd ways."""
    extra = draw(st.dictionaries(st.text(max_size=6).map(lambda name: "x" + name), VALUES, max_size=4))
    members = list(
        {"model": draw(st.text(min_size=1)), "messages": [{"role": "user", "x": draw(VALUES)}], **extra}.items()
    )
    document = dict(draw(st.permutations(members)))
    text = json.dumps(
        document,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 3, "\t"])),
        separators=draw(st.sampled_from([(",", ":"), (" ,", " : "), (", ", ": ")])),
    )
    return text.encode("utf-8", "surrogatepass")


@given(bodies())
def test_an_edit_of_nothing_changes_nothing(body: bytes) -> None:
    assert read_chat(body).edited({}) == body


@given(bodies(), st.text(min_size=1))
def test_an_edit_of_the_model_changes_nothing_else(body: bytes, model: str) -> None:
    edited = read_chat(body).edited({"model": msgspec.json.encode(model)})

    assert json.loads(edited) == {**json.loads(body), "model": model}
    assert list(json.loads(edited)) == list(json.loads(body))


@given(bodies())
def test_reading_an_edited_body_again_gives_the_same_messages(body: bytes) -> None:
    request = read_chat(body)

    assert read_chat(request.edited({"model": b'"n"'})).messages == request.messages


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda noise: body_with(b',"x":' + noise)))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        request = read_chat(body)
    except InvalidRequestError:
        return

    assert isinstance(json.loads(request.edited({"model": b'"n"'})), dict)
