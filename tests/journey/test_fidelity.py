"""What goes through the gateway arrives byte for byte."""

from __future__ import annotations

import json

import pytest

from tests.support.live import UPSTREAM_KEY, LiveGateway
from tests.support.moment import Moment
from tests.support.scripted_upstream import (
    ABORT,
    CLOSE,
    USAGE,
    ScriptedUpstream,
    Step,
    chunk,
    error,
    events,
    head,
    plain,
    raw,
    stream,
)
from tests.support.wire import WireClient, chat, chat_bytes

STREAM = chat(stream=True)

# ---------------------------------------------------------------- requests

REQUESTS = {
    "unknown fields and order": (
        b'{"zeta":1,"model":"scripted-1","new_thing":{"b":[1,2],"a":null},"messages":[{"role":"user","content":"Hi",'
        b'"unheard_of":true}],"alpha":"last"}'
    ),
    "spelling of numbers": (
        b'{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}],"temperature":1.0e0,"top_p":1E-1,'
        b'"seed":123456789012345678901234567890,"x":1.0e5,"y":-0.0,"z":1.10}'
    ),
    "nulls": (
        b'{"model":"scripted-1","messages":[{"role":"assistant","content":null,"refusal":null},{"role":"user",'
        b'"content":"Hi","name":null}],"stop":null,"user":null,"tools":null,"stream":null}'
    ),
    "half surrogates": (
        b'{"model":"scripted-1","messages":[{"role":"user","content":"cut \\ud83d here \\ude00, ok \\ud83d\\ude00"}]}'
    ),
    "escapes": (
        b'{"model":"scripted-1","messages":[{"role":"user","content":"a\\u0062\\/d\\u0000 \\u00e9 '
        b'\xc3\xa9 \xf0\x9f\x98\x80"}]}'
    ),
    "white space": (b'\n {\t"model" :\r\n "scripted-1" , "messages":[ {"role" : "user","content":"Hi"} ] }\n'),
    "every kind of message": (
        b'{"model":"scripted-1","messages":[{"role":"developer","content":"D"},{"role":"assistant","content":null,'
        b'"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\\"a\\": 1.0}"}}],'
        b'"audio":{"id":"audio_1"}},{"role":"tool","tool_call_id":"call_1","content":[{"type":"text","text":"T",'
        b'"cache_control":{"type":"ephemeral"}}]},{"role":"user","content":[{"type":"image_url","image_url":{"url":'
        b'"data:image/png;base64,AA=="}},{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},'
        b'{"type":"unheard_of","x":[]}]}],"service_tier":"flex","store":true,"metadata":{"a":"1"},'
        b'"modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"}}'
    ),
}


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
def test_request_without_edits_reaches_the_upstream_as_sent(
    wire: WireClient, scripted: ScriptedUpstream, body: bytes
) -> None:
    answer = wire.post_chat(body)

    assert answer.status == 200
    assert scripted.last.body == body


def test_alias_is_rewritten_in_the_model_field_alone(wire: WireClient, scripted: ScriptedUpstream) -> None:
    body = (
        b'{"x": {"model":"nick/name"}, "m\\u006fdel" :  "nick\\/name" ,"messages":[{"role":"user","content":'
        b'"my \\"model\\":\\"nick/name\\"","model":"nick/name"}],"n":1.0e0}'
    )

    answer = wire.post_chat(body.replace(b'"n":1.0e0', b'"y":1.0e0'))

    assert answer.status == 200
    expected = body.replace(b'"n":1.0e0', b'"y":1.0e0').replace(b'"nick\\/name"', b'"scripted-1"')
    assert scripted.last.body == expected


def test_stream_asks_for_usage_and_changes_nothing_else(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(*events(chunk("Hi", "stop"), b"[DONE]")))
    body = b'{"a":1.0e5,"model":"scripted-1","stream":true,"messages":[{"role":"user","content":"\\ud83d"}],"z":null}'

    wire.post_chat(body)

    assert scripted.last.json()["stream_options"] == {"include_usage": True}
    sent = scripted.last.body.replace(b'"stream_options":{"include_usage":true},', b"", 1)
    assert sent == body


def test_other_stream_options_stay(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(*events(chunk("Hi", "stop"), b"[DONE]")))

    wire.post_chat(chat(stream=True, stream_options={"include_usage": False, "include_obfuscation": 1.0}))

    assert b'"include_obfuscation":1.0' in scripted.last.body.replace(b" ", b"")
    assert scripted.last.json()["stream_options"]["include_usage"] is True


def test_stream_that_asks_for_usage_is_sent_unchanged(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(*events(chunk("Hi", "stop"), b"[DONE]")))
    body = json.dumps(chat("scripted-1", stream=True, stream_options={"include_usage": True})).encode()

    wire.post_chat(body)

    assert scripted.last.body == body


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"relayed","model":"relayed","messages":[{"role":"user","content":"Hi"}]}', "model"),
        (b'{"model":"relayed","m\\u006fdel":"x","messages":[{"role":"user","content":"Hi"}]}', "model"),
        (b'{"model":"relayed","Model":"x","messages":[{"role":"user","content":"Hi"}]}', "model"),
        (b'{"model":"relayed","messages":[],"messages":[{"role":"user","content":"Hi"}]}', "messages"),
        (b'{"model":"relayed","messages":[{"role":"user","content":"a","content":"b"}]}', "messages[0].content"),
        (b'{"model":"relayed","messages":[{"role":"user","content":"a","c\\u006fntent":"b"}]}', "messages[0].content"),
        (b'{"model":"relayed","messages":[{"role":"user","ROLE":"system","content":"b"}]}', "messages[0].role"),
        (
            b'{"model":"relayed","messages":[{"role":"user","content":[{"type":"text","text":"a","text":"b"}]}]}',
            "messages[0].content[0].text",
        ),
        (
            b'{"model":"relayed","stream":false,"stream":true,"messages":[{"role":"user","content":"Hi"}]}',
            "stream",
        ),
        (
            b'{"model":"relayed","max_tokens":1,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}',
            "max_tokens",
        ),
    ],
)
def test_judged_member_that_stands_there_twice_is_refused(
    wire: WireClient, scripted: ScriptedUpstream, body: bytes, param: str
) -> None:
    answer = wire.post_chat(body)

    assert answer.status == 400
    assert answer.json()["error"]["param"] == param
    assert scripted.requests == []


def test_unjudged_member_that_stands_there_twice_is_passed_on(wire: WireClient, scripted: ScriptedUpstream) -> None:
    body = b'{"model":"scripted-1","x":1,"x":2,"messages":[{"role":"user","content":"Hi"}]}'

    wire.post_chat(body)

    assert scripted.last.body == body


# ---------------------------------------------------------------- plain answers

ANSWERS = {
    "unknown fields and order": (
        b'{"zeta":1,"choices":[{"new":{},"index":0,"message":{"extra":[],"role":"assistant","content":"x"},'
        b'"finish_reason":"stop"}],"model":"m","id":"i","alpha":null}'
    ),
    "spelling of numbers": (
        b'{"id":"i","created":1.7e9,"choices":[],"big":123456789012345678901234567890,"x":1.0e5,"y":-0.0,"z":1.10,'
        b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cost":1e-05}}'
    ),
    "half surrogates": (
        b'{"id":"i","choices":[{"index":0,"message":{"role":"assistant","content":"cut \\ud83d here \\ude00"}}]}'
    ),
    "escapes and white space": (
        b'\n{ "id" : "i",\r\n\t"choices":[{"message":{"content":"a\\u0062\\/d\\u0000 \xc3\xa9 \xf0\x9f\x98\x80"}}] } \n'
    ),
    "refusal": (
        b'{"id":"i","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"I cannot."},'
        b'"finish_reason":"content_filter","content_filter_results":{"hate":{"filtered":false}}}]}'
    ),
    "logprobs, audio, annotations": (
        b'{"id":"i","choices":[{"index":0,"logprobs":{"content":[{"token":"\\ud83d","logprob":-0.10,"bytes":[240,159],'
        b'"top_logprobs":[]}],"refusal":null},"message":{"role":"assistant","content":"x","audio":{"id":"a","data":"AA==",'
        b'"expires_at":1,"transcript":"x"},"annotations":[{"type":"url_citation","url_citation":{"start_index":0,'
        b'"end_index":1,"url":"u","title":"t"}}]}}],"service_tier":"flex","system_fingerprint":null}'
    ),
    "usage null": b'{"id":"i","choices":[],"usage":null,"error":null}',
}


@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
def test_plain_answer_reaches_the_caller_as_it_came(wire: WireClient, scripted: ScriptedUpstream, body: bytes) -> None:
    scripted.script(plain(body))

    answer = wire.post_chat(chat())

    assert answer.status == 200
    assert answer.body == body


def test_chunked_plain_answer_reaches_the_caller_as_it_came(wire: WireClient, scripted: ScriptedUpstream) -> None:
    body = ANSWERS["escapes and white space"]
    scripted.script(stream(*(body[i : i + 1] for i in range(len(body))), kind="application/json"))

    answer = wire.post_chat(chat())

    assert answer.body == body


def test_plain_answer_that_ends_with_its_connection_reaches_the_caller(
    wire: WireClient, scripted: ScriptedUpstream
) -> None:
    scripted.script(raw(head(200, [("content-type", "application/json")]), ANSWERS["refusal"], CLOSE))

    answer = wire.post_chat(chat())

    assert answer.body == ANSWERS["refusal"]


# ---------------------------------------------------------------- streams

PAYLOADS = [
    b'{"id":"i","choices":[],"prompt_filter_results":[{"prompt_index":0}],"created":1.7e9}',
    b'{ "zeta":1 ,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null}]}',
    b'{"choices":[{"index":0,"delta":{"content":"cut \\ud83d"}}],"obfuscation":"aZ3","big":123456789012345678901}',
    '{"choices":[{"index":0,"delta":{"content":"é 😀 \u2028 \u0085"}}],"x":1.0e5}'.encode(),
    b'{"choices":[{"index":1,"delta":{"audio":{"id":"a","data":"AA=="},"annotations":[]},"finish_reason":null}]}',
    b'{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":"}}]}}]}',
    b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop","logprobs":{"content":[{"logprob":-0.10}]}}]}',
]
DONE = b"[DONE]"


def framed(template: bytes) -> list[bytes]:
    return [template.replace(b"PAYLOAD", payload) for payload in [*PAYLOADS, DONE]]


FRAMINGS = {
    "as OpenAI sends": b"data: PAYLOAD\n\n",
    "CRLF": b"data: PAYLOAD\r\n\r\n",
    "CR": b"data: PAYLOAD\r\r",
    "no space": b"data:PAYLOAD\n\n",
    "no space and CRLF": b"data:PAYLOAD\r\n\r\n",
    "ids": b"id: 7\ndata: PAYLOAD\n\n",
    "comments between": b": keep-alive\n\ndata: PAYLOAD\n\n",
    "comments inside": b": OPENROUTER PROCESSING\ndata: PAYLOAD\n\n",
    "named events": b"event: message\r\ndata: PAYLOAD\r\nid: 1\r\nretry: 10\r\n\r\n",
    "many blank lines": b"\n\n\ndata: PAYLOAD\n\n\n\n",
}


@pytest.mark.parametrize("template", FRAMINGS.values(), ids=FRAMINGS)
def test_stream_payloads_are_untouched_and_framing_is_normalised(
    wire: WireClient, scripted: ScriptedUpstream, template: bytes
) -> None:
    scripted.script(stream(*framed(template)))

    answer = wire.post_chat(STREAM)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.payloads() == [*PAYLOADS, DONE]
    assert answer.ended_well


@pytest.mark.parametrize("template", [b"data: PAYLOAD\n\n", b": c\r\ndata:PAYLOAD\r\n\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_stream_split_anywhere_is_understood(
    wire: WireClient, scripted: ScriptedUpstream, template: bytes, size: int
) -> None:
    text = b"".join(framed(template))
    scripted.script(stream(*(text[at : at + size] for at in range(0, len(text), size))))

    answer = wire.post_chat(STREAM)

    assert answer.payloads() == [*PAYLOADS, DONE]


def test_stream_in_one_write_is_understood(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(b"".join(framed(b"data: PAYLOAD\n\n"))))

    answer = wire.post_chat(STREAM)

    assert answer.payloads() == [*PAYLOADS, DONE]


def test_first_event_arrives_before_the_second_is_made(wire: WireClient, scripted: ScriptedUpstream) -> None:
    go_on = Moment()
    first, second, done = events(chunk("one"), chunk("two", "stop"), DONE)
    scripted.script(stream(first, go_on, second, done))
    wire.send(chat_bytes(STREAM))

    wire.head()
    arrived = wire.chunk()
    go_on.happen()
    rest = wire.chunk()

    assert arrived == first
    assert rest is not None
    assert rest.startswith(second)


def test_event_is_held_until_it_is_complete(wire: WireClient, scripted: ScriptedUpstream) -> None:
    go_on = Moment()
    first, second, done = events(chunk("one"), chunk("two", "stop"), DONE)
    scripted.script(stream(first + second[:20], go_on, second[20:], done))
    wire.send(chat_bytes(STREAM))

    wire.head()
    arrived = wire.chunk()
    go_on.happen()
    rest = wire.chunk()

    assert arrived == first
    assert rest is not None
    assert rest.startswith(second)


def test_usage_chunk_nobody_asked_for_is_removed(wire: WireClient, scripted: ScriptedUpstream) -> None:
    asked = [chunk("Hi", "stop"), {**chunk(), "choices": [], "usage": USAGE}]
    scripted.script(stream(*events(*asked, DONE)))

    answer = wire.post_chat(STREAM)

    assert [json.loads(payload) for payload in answer.payloads()[:-1]] == asked[:1]
    assert answer.payloads()[-1] == DONE


def test_usage_chunk_that_was_asked_for_is_kept(wire: WireClient, scripted: ScriptedUpstream) -> None:
    asked = [chunk("Hi", "stop"), {**chunk(), "choices": [], "usage": USAGE}]
    scripted.script(stream(*events(*asked, DONE)))

    answer = wire.post_chat({**STREAM, "stream_options": {"include_usage": True}})

    assert [json.loads(payload) for payload in answer.payloads()[:-1]] == asked


def test_usage_beside_an_answer_is_not_removed(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(*events(chunk("Hi", "stop", usage=USAGE), DONE)))

    answer = wire.post_chat(STREAM)

    assert json.loads(answer.payloads()[0])["usage"] == USAGE


def test_usage_of_a_stream_is_recorded_although_it_is_removed(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream
) -> None:
    scripted.script(stream(*events(chunk("Hi", "stop"), {**chunk(), "choices": [], "usage": USAGE}, DONE)))

    answer = wire.post_chat(STREAM)

    line = relay.wait_for_log(request_id=answer.headers["x-request-id"])
    assert line["usage"]["input_tokens"] == 9
    assert line["usage"]["output_tokens"] == 3
    assert line["cost_microusd"] == 9 * 1 + 3 * 2


def test_stream_without_done_gets_none(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(*events(chunk("Hi"), chunk(finish="stop"))))

    answer = wire.post_chat(STREAM)

    assert DONE not in answer.payloads()
    assert len(answer.payloads()) == 2
    assert answer.ended_well


def test_stream_without_a_closing_blank_line_is_complete(wire: WireClient, scripted: ScriptedUpstream) -> None:
    first, done = events(chunk("Hi", "stop"), DONE)
    scripted.script(stream(first, done.rstrip()))

    answer = wire.post_chat(STREAM)

    assert answer.payloads()[-1] == DONE


def test_nothing_after_done_is_passed_on(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(b"".join(events(chunk("Hi", "stop"), DONE, chunk("more")))))

    answer = wire.post_chat(STREAM)

    assert answer.payloads()[-1] == DONE
    assert len(answer.payloads()) == 2


# ---------------------------------------------------------------- cut streams

FIRST = events(chunk("Hel"))[0]
CUTS: dict[str, tuple[list[Step], str]] = {
    "connection reset": ([FIRST, ABORT], "provider"),
    "connection closed inside the chunked body": ([FIRST, CLOSE], "provider"),
    "connection closed inside an event": ([FIRST, b'data: {"choices":[', CLOSE], "provider"),
    "body ended well before the answer": ([FIRST, b"END"], "provider"),
    "a chunk that is no JSON": ([FIRST, b"data: <html>\n\n"], "provider"),
    "an error inside": ([FIRST, b'data: {"error":{"message":"Overloaded","code":"busy"}}\n\n'], "provider"),
    "an error as a string": ([FIRST, b'event: error\ndata: {"error":"Overloaded"}\n\n'], "provider"),
}


@pytest.mark.parametrize(("pieces", "source"), CUTS.values(), ids=CUTS)
def test_broken_stream_ends_with_an_error_event_and_a_cut_connection(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream, pieces: list[Step], source: str
) -> None:
    after_first = Moment()
    ends = pieces[-1] == b"END"
    steps = pieces[:-1] if ends else pieces
    scripted.script(stream(steps[0], after_first, *steps[1:], ends=ends))
    wire.send(chat_bytes(STREAM))
    wire.head()

    first = wire.chunk()
    after_first.happen()
    last = wire.chunk()

    assert first == FIRST
    assert last is not None
    assert last.startswith(b"data: ")
    assert last.endswith(b"\n\n")
    found = json.loads(last.removeprefix(b"data: "))["error"]
    assert set(found) == {"message", "type", "param", "code", "source"}
    assert found["source"] == source
    assert wire.is_closed_by_peer()
    assert relay.wait_for_log(stream=True, code=found["code"])["status"] == 200


def test_connection_cut_after_the_answer_but_before_done_is_passed_on_as_it_was(
    wire: WireClient, scripted: ScriptedUpstream
) -> None:
    scripted.script(stream(*events(chunk("Hi"), chunk(finish="stop")), ABORT, ends=False))
    wire.send(chat_bytes(STREAM))

    answer = wire.answer()

    assert DONE not in answer.body
    assert not answer.ended_well


def test_what_came_before_the_cut_is_passed_on(wire: WireClient, scripted: ScriptedUpstream) -> None:
    pieces = events(*(chunk(str(number)) for number in range(50)))
    scripted.script(stream(b"".join(pieces), CLOSE, ends=False))

    answer = wire.post_chat(STREAM)

    *passed, last = answer.payloads()
    assert [json.loads(p)["choices"][0]["delta"]["content"] for p in passed] == [str(n) for n in range(50)]
    assert "error" in json.loads(last)
    assert not answer.ended_well


@pytest.mark.parametrize("first", [b"", b": waiting\n\n"], ids=["nothing", "a comment"])
def test_stream_that_breaks_before_its_first_event_is_a_502(
    wire: WireClient, scripted: ScriptedUpstream, first: bytes
) -> None:
    scripted.script(stream(*([first] if first else []), CLOSE, ends=False))

    answer = wire.post_chat(STREAM)

    assert answer.status == 502
    assert answer.json()["error"]["source"] == "provider"


def test_error_as_the_first_event_is_an_error_with_a_status(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(b'data: {"error":{"message":"Slow down","code":429}}\n\n'))

    answer = wire.post_chat(STREAM)

    assert answer.status == 429
    assert answer.json()["error"]["message"] == "Slow down"


@pytest.mark.parametrize(
    "steps",
    [
        raw(head(200, [("content-type", "application/json"), ("content-length", "400")]), b'{"id":"i","cho', CLOSE),
        raw(head(200, [("content-type", "application/json"), ("content-length", "400")]), b'{"id":"i","cho', ABORT),
        stream(b'{"id":"i","choices":[]}', CLOSE, kind="application/json", ends=False),
        plain(b"<html>Bad gateway</html>", kind="text/html"),
        plain(b'{"id":"i","choices":[}'),
        plain(b'["a list"]'),
        plain(b""),
        raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
        raw(head(200, [("content-length", "3"), ("content-length", "7")]), b"abcdefg"),
        raw(CLOSE),
        raw(ABORT),
        raw(b"HTTP/1.1 200 OK\r\ncontent-ty", CLOSE),
        plain(b"", 302, [("location", "http://127.0.0.1:1/elsewhere")]),
        plain(b"<html>nginx</html>", 500, kind="text/html"),
    ],
    ids=[
        "cut in its length", "reset in its length", "cut in its chunks", "HTML", "broken JSON", "a list", "empty",
        "not HTTP", "two lengths", "closed", "reset", "cut in its head", "redirect", "HTML error",
    ],
)  # fmt: skip
@pytest.mark.parametrize("request_body", [chat(), STREAM], ids=["plain", "stream"])
def test_garbled_answer_is_a_clean_502(
    wire: WireClient, scripted: ScriptedUpstream, steps: list[Step], request_body: dict[str, object]
) -> None:
    scripted.otherwise = steps

    answer = wire.post_chat(request_body)
    scripted.reset()
    after = wire.post_chat(chat())

    assert answer.status == 502
    assert answer.json()["error"]["source"] == "provider"
    assert b"nginx" not in answer.body
    assert b"Traceback" not in answer.body
    assert after.status == 200


# ---------------------------------------------------------------- headers and secrets


def test_callers_credentials_and_connection_headers_never_reach_the_upstream(
    wire: WireClient, scripted: ScriptedUpstream
) -> None:
    private = {
        "authorization": "Bearer caller-secret-1",
        "cookie": "session=caller-secret-2",
        "api-key": "caller-secret-3",
        "x-api-key": "caller-secret-4",
        "proxy-authorization": "Basic caller-secret-5",
        "openai-organization": "caller-secret-6",
        "openai-project": "caller-secret-7",
        "x-forwarded-for": "caller-secret-8",
        "forwarded": "for=caller-secret-9",
        "te": "trailers",
        "x-stainless-lang": "caller-secret-10",
        "user-agent": "caller-secret-11",
        "accept-encoding": "br",
    }

    wire.post_chat(chat(), *private.items())

    sent = scripted.last
    assert b"caller-secret" not in sent.head + sent.body
    assert sent.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert sent.headers["host"] == scripted.origin.removeprefix("http://")
    assert sent.headers["accept-encoding"] == "identity"
    assert {name for name, _ in sent.header_lines} == {
        "host", "authorization", "accept", "accept-encoding", "content-type", "content-length", "user-agent",
    }  # fmt: skip


def test_trace_context_travels_on(wire: WireClient, scripted: ScriptedUpstream) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    wire.post_chat(chat(), ("traceparent", trace), ("tracestate", "a=1"))

    assert scripted.last.headers["traceparent"] == trace
    assert scripted.last.headers["tracestate"] == "a=1"


def test_upstreams_own_headers_stay_behind(wire: WireClient, scripted: ScriptedUpstream) -> None:
    own = [
        ("set-cookie", "cf=1"),
        ("x-request-id", "upstream-id"),
        ("x-ratelimit-remaining-requests", "3"),
        ("server", "cloudflare"),
        ("openai-processing-ms", "12"),
        ("x-secret", UPSTREAM_KEY),
    ]
    scripted.script(plain({"id": "i", "choices": []}, headers=own))

    answer = wire.post_chat(chat(), ("x-request-id", "mine"))

    assert answer.headers["openai-processing-ms"] == "12"
    assert answer.headers["x-request-id"] == "mine"
    assert {"set-cookie", "server", "x-secret", "x-ratelimit-remaining-requests"}.isdisjoint(answer.headers)


QUOTED = f"Incorrect API key provided: {UPSTREAM_KEY}. See your account."
MASKED = "Incorrect API key provided: sk-proj-****wxyz. See your account."


@pytest.mark.parametrize("message", [QUOTED, MASKED], ids=["in full", "masked"])
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
def test_key_quoted_by_an_upstream_error_never_reaches_the_caller(
    wire: WireClient, relay: LiveGateway, scripted: ScriptedUpstream, status: int, message: str
) -> None:
    scripted.script(plain(error(message, "invalid_api_key"), status))

    answer = wire.post_chat(chat())

    assert answer.status == status
    everything = answer.body.decode() + str(answer.header_lines)
    assert UPSTREAM_KEY not in everything
    assert "wxyz" not in everything
    assert "See your account" in answer.json()["error"]["message"]
    relay.wait_for_log(request_id=answer.headers["x-request-id"])
    assert UPSTREAM_KEY not in str(relay.log) + str(relay.messages)


@pytest.mark.parametrize(
    "fields",
    [
        {"code": UPSTREAM_KEY},
        {"param": UPSTREAM_KEY},
        {"type": UPSTREAM_KEY},
    ],
    ids=["code", "param", "type"],
)
@pytest.mark.parametrize("in_stream", [False, True], ids=["status", "event"])
def test_key_in_another_field_of_an_error_never_reaches_the_caller(
    wire: WireClient, scripted: ScriptedUpstream, fields: dict[str, str], *, in_stream: bool
) -> None:
    document = {"error": {"message": "No.", **fields}}
    if in_stream:
        scripted.script(stream(*events(chunk("Hi"), document)))
        answer = wire.post_chat(STREAM)
    else:
        scripted.script(plain(document, 400))
        answer = wire.post_chat(chat())

    assert UPSTREAM_KEY.encode() not in answer.body


def test_key_quoted_inside_a_stream_never_reaches_the_caller(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(stream(*events(chunk("Hi"), error(QUOTED))))

    answer = wire.post_chat(STREAM)

    assert UPSTREAM_KEY.encode() not in answer.body
    assert b"See your account" in answer.body


def test_upstream_error_keeps_status_code_param_type_and_message(wire: WireClient, scripted: ScriptedUpstream) -> None:
    scripted.script(plain(error("Too long.", "context_length_exceeded", "invalid_request_error", "messages"), 400))

    answer = wire.post_chat(chat())

    assert answer.status == 400
    assert answer.json() == {
        "error": {
            "message": "Too long.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
            "source": "provider",
        }
    }
