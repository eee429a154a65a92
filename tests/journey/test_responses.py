"""Responses: relayed as they are, translated where the upstream has none, and continued where they live."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conftest import StartGateway
from tests.support.live import UPSTREAM_KEY, LiveGateway
from tests.support.mixed import (
    BLUE,
    PRICE,
    RED,
    RED_2,
    Mixed,
    claude_stream,
    message,
    named_events,
    read_events,
    response,
    response_events,
    response_stream,
    responses_request,
)
from tests.support.moment import Moment
from tests.support.scripted_upstream import (
    CLOSE,
    USAGE,
    Received,
    ScriptedUpstream,
    chunk,
    completion,
    error,
    events,
    head,
    plain,
    raw,
    stream,
)
from tests.support.wire import Answer, WireClient

STOPPED_WITHIN_S = 2.0
RESPONSES = "/v1/responses"


@pytest.fixture
def never() -> Iterator[Moment]:
    moment = Moment("the end of the test")
    yield moment
    moment.happen()


def create(mixed: Mixed, model: str, response_id: str, key: str = RED) -> None:
    """Have an upstream make a stored response."""
    mixed[mixed_upstream(model)].script(plain(response(response_id)))
    assert mixed.post(RESPONSES, responses_request(model), key=key).status == 200
    mixed.reset()


def mixed_upstream(model: str) -> str:
    return "one" if model == "one-more" else model


def seen(mixed: Mixed) -> dict[str, int]:
    return {name: len(upstream.requests) for name, upstream in mixed.upstreams.items() if upstream.requests}


# ---------------------------------------------------------------- relayed

BODIES = {
    "unknown members": b'{"zeta":1.0e0,"model":"one-more","input":[{"role":"user","content":"Hi","new":null}],"a":[]}',
    "half surrogates": b'{"model":"one-more","input":"cut \\ud83d here"}',
    "huge integers": b'{"model":"one-more","input":"Hi","x":1' + b"0" * 400 + b"}",
    "every kind of item": (
        b'{"model":"one-more","input":[{"type":"reasoning","id":"rs_1","summary":[],"content":null},'
        b'{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},'
        b'{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"x"}]},'
        b'{"type":"computer_call_output","call_id":"d","output":{"type":"computer_screenshot","image_url":"u"}},'
        b'{"type":"item_reference","id":"msg_of_the_upstream"},{"type":"unheard_of","x":{}},'
        b'{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AA=="},'
        b'{"type":"input_file","file_id":"file-1"}]}],"tools":[{"type":"web_search"}],"store":null}'
    ),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_body_reaches_the_upstream_as_sent(mixed: Mixed, body: bytes) -> None:
    mixed["one"].script(plain(response()))

    answer = mixed.post(RESPONSES, body)

    assert answer.status == 200
    assert mixed["one"].last.body == body
    assert mixed["one"].last.target == "/v1/responses"


def test_model_is_renamed_and_nothing_else(mixed: Mixed) -> None:
    mixed["one"].script(plain(response()))
    body = b'{ "input":"\\"model\\":\\"one\\"" , "model" :"one","stream":false,"n":1.10}'

    mixed.post(RESPONSES, body)

    assert mixed["one"].last.body == body.replace(b':"one"', b':"one-model"')


def test_plain_answer_comes_back_byte_for_byte(mixed: Mixed) -> None:
    body = json.dumps(response(new=[1.0, None]), indent=1).encode() + b"\n"
    mixed["one"].script(plain(body, headers=[("openai-processing-ms", "7"), ("set-cookie", "a=b")]))

    answer = mixed.post(RESPONSES, responses_request())

    assert answer.body == body
    assert answer.headers["openai-processing-ms"] == "7"
    assert "set-cookie" not in answer.headers
    assert "x-tierway-dropped" not in answer.headers


def test_plain_answer_is_billed(mixed: Mixed) -> None:
    mixed["one"].script(plain(response()))

    answer = mixed.post(RESPONSES, responses_request(), ("x-request-id", "billed-response"))

    line = mixed.gateway.wait_for_log(request_id="billed-response")
    assert line["route"] == "responses"
    assert (line["usage"]["input_tokens"], line["usage"]["cached_tokens"]) == (5, 4)
    assert (line["usage"]["output_tokens"], line["usage"]["reasoning_tokens"]) == (2, 1)
    assert "provenance" not in line["usage"]
    assert float(answer.headers["x-tierway-cost"]) > 0


def test_stream_comes_back_event_for_event(mixed: Mixed) -> None:
    sent = response_events()
    mixed["one"].script(stream(*named_events(*sent)))

    answer = mixed.post(RESPONSES, responses_request(stream=True))

    assert answer.ended_well
    assert answer.body == b"".join(named_events(*sent))


def test_stream_is_not_asked_for_usage_that_it_always_tells(mixed: Mixed) -> None:
    mixed["one"].script(response_stream())
    body = json.dumps(responses_request("one-more", stream=True)).encode()

    mixed.post(RESPONSES, body)

    assert mixed["one"].last.body == body


def test_stream_is_billed(mixed: Mixed) -> None:
    mixed["one"].script(response_stream())

    mixed.post(RESPONSES, responses_request(stream=True), ("x-request-id", "billed-stream"))

    line = mixed.gateway.wait_for_log(request_id="billed-stream")
    assert "provenance" not in line["usage"]
    assert line["usage"]["cached_tokens"] == 4
    assert line["cost_microusd"] == round(9 * PRICE["input"] + 3 * PRICE["output"])


@pytest.mark.parametrize("end", ["response.incomplete", "response.failed"])
def test_stream_that_ends_otherwise_is_complete_too(mixed: Mixed, end: str) -> None:
    last = {**response_events()[-1], "type": end}
    sent = [*response_events()[:-1], last]
    mixed["one"].script(stream(*named_events(*sent)))

    answer = mixed.post(RESPONSES, responses_request(stream=True))

    assert answer.ended_well
    assert read_events(answer.body)[-1] == (end, last)


ERROR_EVENTS = {
    "of the description": {
        "type": "error",
        "code": "server_error",
        "message": "Broke.",
        "param": None,
        "sequence_number": 3,
    },
    "with an error object": {
        "type": "error",
        "error": {"message": "Broke.", "type": "server_error", "code": "server_error"},
    },
    "without a type": {"error": {"message": "Broke.", "type": "server_error", "code": "server_error"}},
}


@pytest.mark.parametrize("event", ERROR_EVENTS.values(), ids=ERROR_EVENTS)
def test_error_event_in_mid_stream_is_told_and_ends_the_connection(mixed: Mixed, event: dict[str, Any]) -> None:
    begun = response_events()[:5]
    broken = b"data: " + json.dumps(event).encode() + b"\n\n"
    mixed["one"].script(stream(*named_events(*begun), broken))

    answer = mixed.post(RESPONSES, responses_request(stream=True), ("x-request-id", f"broke-{id(event)}"))

    *before, (name, told) = read_events(answer.body)
    assert [payload for _, payload in before] == begun
    assert name == told["type"] == "error"
    assert (told["message"], told["code"]) == ("Broke.", "server_error")
    assert told["error"]["message"] == "Broke."
    assert isinstance(told["sequence_number"], int)
    assert not answer.ended_well
    assert mixed.gateway.wait_for_log(request_id=f"broke-{id(event)}")["source"] == "provider"


@pytest.mark.parametrize("end", ["last chunk", CLOSE])
def test_stream_cut_by_the_upstream_is_a_failure_and_no_end_is_invented(mixed: Mixed, end: str) -> None:
    begun = response_events()[:5]
    pieces = named_events(*begun)
    mixed["one"].script(stream(*pieces) if end != CLOSE else [*stream(*pieces, ends=False), CLOSE])

    answer = mixed.post(RESPONSES, responses_request(stream=True))

    names = [name for name, _ in read_events(answer.body)]
    assert names == [event["type"] for event in begun] + ["error"]
    assert not answer.ended_well


def test_openai_client_raises_on_an_error_in_a_stream(mixed: Mixed) -> None:
    mixed["one"].script(stream(*named_events(*response_events()[:5])))
    with (
        openai.OpenAI(base_url=mixed.gateway.api, api_key=RED, max_retries=0) as client,
        pytest.raises(openai.APIError),
        client.responses.create(model="one", input="Hi", stream=True) as events_read,
    ):
        list(events_read)


def test_failure_before_the_first_event_is_a_status(mixed: Mixed) -> None:
    mixed["only"].script(stream(b'event: error\ndata: {"type":"error","message":"Busy.","code":"429"}\n\n'))

    answer = mixed.post(RESPONSES, responses_request("only", stream=True))

    assert answer.status >= 400
    assert answer.json()["error"]["message"] == "Busy."


# ---------------------------------------------------------------- a caller who leaves


@pytest.fixture(params=["FIN", "RST"])
def leave(request: pytest.FixtureRequest) -> Callable[[WireClient], None]:
    def go(client: WireClient) -> None:
        if request.param == "RST":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    return go


def phases(never: Moment) -> dict[str, tuple[bool, Any]]:
    first = named_events(*response_events()[:5])
    announced = [("content-type", "application/json"), ("content-length", "999")]
    return {
        "before the head": (False, plain(response(), before=[never])),
        "before the head of a stream": (True, plain(response(), before=[never])),
        "before the first event": (True, stream(b": waiting\n\n", never)),
        "in the middle of a stream": (True, stream(*first, never)),
        "in the middle of a plain answer": (False, raw(head(200, announced), b'{"id":', never)),
    }


@pytest.mark.parametrize("phase", phases(Moment()))
@pytest.mark.parametrize("model", ["one", "chat", "claude"])
def test_caller_who_leaves_stops_the_upstream(
    mixed: Mixed, never: Moment, leave: Callable[[WireClient], None], phase: str, model: str
) -> None:
    streamed, answer = phases(never)[phase]
    if phase == "in the middle of a stream" and model == "chat":
        answer = stream(*events(chunk("some text")), never)
    if phase == "in the middle of a stream" and model == "claude":
        answer = [*claude_stream()[:5], never]
    mixed[model].script(answer)
    request_id = f"left-{abs(hash((phase, model, leave)))}"
    with WireClient(mixed.gateway.address) as client:
        request = responses_request(model, stream=streamed)
        client.send(message("POST", RESPONSES, request, ("x-request-id", request_id)))
        received = mixed[model].wait_for_request()
        if "middle of a stream" in phase:
            client.head()
            assert client.chunk()

        leave(client)

        assert_was_stopped(received, mixed.gateway, request_id)


def assert_was_stopped(received: Received, gateway: LiveGateway, request_id: str) -> None:
    received.closed.wait(STOPPED_WITHIN_S)
    assert not received.answered.has_happened
    assert gateway.wait_for_log(request_id=request_id)["status"] == 499
    gateway.wait_for_idle()


# ---------------------------------------------------------------- stored at the upstream

CALLS = {
    "retrieve": ("GET", "", ""),
    "retrieve with a query": ("GET", "", "?include=message.output_text.logprobs&include[]=x%20y"),
    "input items": ("GET", "/input_items", "?limit=2&order=asc&after=msg_1"),
    "cancel": ("POST", "/cancel", ""),
    "delete": ("DELETE", "", ""),
}


@pytest.mark.parametrize(("method", "verb", "query"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("model", ["one", "two"])
def test_calls_about_a_response_go_where_it_lives(mixed: Mixed, method: str, verb: str, query: str, model: str) -> None:
    create(mixed, model, "resp_here")
    mixed[model].script(plain({"id": "resp_here", "x": 1.0}, headers=[("set-cookie", "a=b")]))

    answer = mixed.ask(method, f"{RESPONSES}/resp_here{verb}{query}")

    received = mixed[model].last
    assert seen(mixed) == {model: 1}
    assert (received.method, received.target) == (method, f"/v1/responses/resp_here{verb}{query}")
    assert received.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert RED not in received.head.decode()
    assert (answer.status, answer.json()) == (200, {"id": "resp_here", "x": 1.0})
    assert "set-cookie" not in answer.headers


def test_stream_of_a_stored_response_is_relayed(mixed: Mixed) -> None:
    create(mixed, "one", "resp_again")
    mixed["one"].script(response_stream("resp_again"))

    answer = mixed.ask("GET", f"{RESPONSES}/resp_again?stream=true&starting_after=2")

    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body == b"".join(named_events(*response_events("resp_again")))


def test_streamed_response_is_bound_with_its_first_event(mixed: Mixed, never: Moment) -> None:
    mixed["two"].script(stream(*named_events(*response_events("resp_early")[:2]), never), plain(response("resp_early")))
    with WireClient(mixed.gateway.address) as client:
        client.send(message("POST", RESPONSES, responses_request("two", stream=True, background=True)))
        client.head()
        assert client.chunk()

        answer = mixed.ask("POST", f"{RESPONSES}/resp_early/cancel")

    assert answer.status == 200
    assert mixed["two"].requests[1].target == "/v1/responses/resp_early/cancel"


def test_deleted_response_is_forgotten(mixed: Mixed) -> None:
    create(mixed, "one", "resp_gone")
    mixed["one"].script(plain({"id": "resp_gone", "object": "response", "deleted": True}))

    assert mixed.ask("DELETE", f"{RESPONSES}/resp_gone").status == 200
    again = mixed.ask("GET", f"{RESPONSES}/resp_gone")

    assert again.status == 404
    assert seen(mixed) == {"one": 1}


def test_response_whose_deletion_failed_is_not_forgotten(mixed: Mixed) -> None:
    create(mixed, "one", "resp_kept")
    mixed["one"].script(plain(error("Busy."), 503), plain(response("resp_kept")))

    assert mixed.ask("DELETE", f"{RESPONSES}/resp_kept").status == 503
    assert mixed.ask("GET", f"{RESPONSES}/resp_kept").status == 200


UNKNOWN = [
    "resp_unknown",
    "%00",
    "a%00b",
    "x" * 5000,
    "%ff%fe",
    "..",
    "%2e%2e",
    "a%2fb",
    "\xe9",
    "%F0%9F%98%80",
    ";",
    "%",
]


@pytest.mark.parametrize("response_id", UNKNOWN, ids=range(len(UNKNOWN)))
@pytest.mark.parametrize(
    ("method", "verb"), [("GET", ""), ("GET", "/input_items"), ("POST", "/cancel"), ("DELETE", "")]
)
def test_unknown_id_is_not_found(mixed: Mixed, response_id: str, method: str, verb: str) -> None:
    answer = mixed.ask(method, f"{RESPONSES}/{response_id}{verb}")

    assert answer.status in (400, 404)
    assert "error" in answer.json()
    assert seen(mixed) == {}


@pytest.mark.parametrize("response_id", ["resp_unknown", "", "\0", "x" * 5000, "\ud83d", "../files", "\u00e9"])
def test_unknown_previous_response_is_refused(mixed: Mixed, response_id: str) -> None:
    answer = mixed.post(RESPONSES, responses_request(previous_response_id=response_id or "\t"))

    assert answer.status == 400
    assert answer.json()["error"]["code"] == "previous_response_not_found"
    assert answer.json()["error"]["param"] == "previous_response_id"
    assert seen(mixed) == {}


@pytest.mark.parametrize(("method", "verb", "query"), CALLS.values(), ids=CALLS)
def test_response_of_another_team_is_not_found(mixed: Mixed, method: str, verb: str, query: str) -> None:
    create(mixed, "one", "resp_red")

    others = mixed.ask(method, f"{RESPONSES}/resp_red{verb}{query}", key=BLUE)
    unknown = mixed.ask(method, f"{RESPONSES}/resp_xxx{verb}{query}", key=BLUE)

    assert others.status == unknown.status == 404
    assert others.body.replace(b"resp_red", b"resp_xxx") == unknown.body
    assert seen(mixed) == {}


def test_response_is_shared_in_its_team(mixed: Mixed) -> None:
    create(mixed, "one", "resp_shared")
    mixed["one"].script(plain(response("resp_shared")))

    assert mixed.ask("GET", f"{RESPONSES}/resp_shared", key=RED_2).status == 200


def test_previous_response_of_another_team_is_refused(mixed: Mixed) -> None:
    create(mixed, "one", "resp_of_red")

    answer = mixed.post(RESPONSES, responses_request(previous_response_id="resp_of_red"), key=BLUE)

    assert (answer.status, answer.json()["error"]["code"]) == (400, "previous_response_not_found")
    assert seen(mixed) == {}


def test_two_upstreams_with_the_same_id_do_not_meet_between_teams(mixed: Mixed) -> None:
    create(mixed, "one", "resp_1st", RED)
    create(mixed, "two", "resp_1st", BLUE)
    mixed["one"].script(plain(response("resp_1st")))
    mixed["two"].script(plain(response("resp_1st")))

    mixed.ask("GET", f"{RESPONSES}/resp_1st", key=RED)
    assert seen(mixed) == {"one": 1}
    mixed.ask("GET", f"{RESPONSES}/resp_1st", key=BLUE)
    assert seen(mixed) == {"one": 1, "two": 1}


@pytest.mark.parametrize("model", ["two", "chat", "claude"])
def test_continuing_where_the_model_is_not_is_refused(mixed: Mixed, model: str) -> None:
    create(mixed, "one", "resp_at_one")

    answer = mixed.post(RESPONSES, responses_request(model, previous_response_id="resp_at_one"))

    assert (answer.status, answer.json()["error"]["code"]) == (400, "previous_response_elsewhere")
    assert seen(mixed) == {}


@pytest.mark.parametrize("home", ["one", "two"])
@pytest.mark.parametrize("model", ["auto", "auto/simple", "auto/medium"])
def test_tier_stays_at_the_upstream_that_has_the_conversation(mixed: Mixed, home: str, model: str) -> None:
    create(mixed, home, "resp_tier")
    mixed[home].script(plain(response("resp_next")))
    request = responses_request(model, previous_response_id="resp_tier")

    answer = mixed.post(RESPONSES, request)

    assert answer.status == 200
    assert seen(mixed) == {home: 1}
    assert mixed[home].last.json() == {**request, "model": f"{home}-model"}


def test_conversation_does_not_fail_over_to_another_upstream(mixed: Mixed) -> None:
    create(mixed, "one", "resp_stay")
    mixed["one"].script(plain(error("Busy."), 503))

    answer = mixed.post(RESPONSES, responses_request("auto", previous_response_id="resp_stay"))

    assert answer.status == 503
    assert seen(mixed) == {"one": 1}


def test_new_conversation_does_fail_over(mixed: Mixed) -> None:
    mixed["one"].script(plain(error("Busy."), 503))
    mixed["two"].script(plain(response("resp_over")), plain(response("resp_over_2")))

    assert mixed.post(RESPONSES, responses_request("auto")).status == 200
    assert mixed.post(RESPONSES, responses_request("auto", previous_response_id="resp_over")).status == 200
    assert seen(mixed) == {"one": 1, "two": 2}


def test_response_that_is_not_stored_is_not_remembered(mixed: Mixed) -> None:
    mixed["one"].script(plain(response("resp_unstored")))

    mixed.post(RESPONSES, responses_request(store=False))

    assert mixed.ask("GET", f"{RESPONSES}/resp_unstored").status == 404


# ---------------------------------------------------------------- conversations


def make_conversation(mixed: Mixed, conversation_id: str) -> None:
    mixed["one"].script(plain({"id": conversation_id, "object": "conversation"}))
    made = mixed.post("/v1/conversations", {"metadata": {}})
    assert made.json()["id"] == conversation_id
    mixed.reset()


def test_conversation_is_made_used_and_kept_apart(mixed: Mixed) -> None:
    make_conversation(mixed, "conv_1")
    mixed["one"].script(plain(response("resp_c")), plain({"id": "conv_1"}), plain({"data": []}))

    used = mixed.post(RESPONSES, responses_request("auto/medium", conversation={"id": "conv_1"}))
    shown = mixed.ask("GET", "/v1/conversations/conv_1")
    items = mixed.ask("GET", "/v1/conversations/conv_1/items?limit=3")

    assert [answer.status for answer in (used, shown, items)] == [200, 200, 200]
    assert [received.target for received in mixed["one"].requests] == [
        "/v1/responses", "/v1/conversations/conv_1", "/v1/conversations/conv_1/items?limit=3",
    ]  # fmt: skip
    assert seen(mixed) == {"one": 3}


def test_conversation_of_another_team_is_not_found(mixed: Mixed) -> None:
    make_conversation(mixed, "conv_red")

    asked = mixed.post(RESPONSES, responses_request(conversation="conv_red"), key=BLUE)
    shown = mixed.ask("GET", "/v1/conversations/conv_red", key=BLUE)
    deleted = mixed.ask("DELETE", "/v1/conversations/conv_red/items/msg_1", key=BLUE)

    assert [answer.status for answer in (asked, shown, deleted)] == [404, 404, 404]
    assert seen(mixed) == {}


def test_conversation_does_not_leave_its_upstream(mixed: Mixed) -> None:
    make_conversation(mixed, "conv_stay")
    mixed["one"].script(plain(error("Busy."), 503))

    elsewhere = mixed.post(RESPONSES, responses_request("two", conversation="conv_stay"))
    over = mixed.post(RESPONSES, responses_request("auto", conversation="conv_stay"))

    assert (elsewhere.status, elsewhere.json()["error"]["code"]) == (400, "previous_response_elsewhere")
    assert over.status == 503
    assert seen(mixed) == {"one": 1}


def test_deleted_conversation_is_forgotten(mixed: Mixed) -> None:
    make_conversation(mixed, "conv_gone")
    mixed["one"].script(plain({"id": "conv_gone", "deleted": True}))

    assert mixed.ask("DELETE", "/v1/conversations/conv_gone").status == 200
    assert mixed.ask("GET", "/v1/conversations/conv_gone").status == 404
    assert seen(mixed) == {"one": 1}


def test_deleting_an_item_does_not_forget_the_conversation(mixed: Mixed) -> None:
    make_conversation(mixed, "conv_item")
    mixed["one"].script(plain({"id": "conv_item"}), plain({"id": "conv_item"}))

    assert mixed.ask("DELETE", "/v1/conversations/conv_item/items/msg_1").status == 200
    assert mixed.ask("GET", "/v1/conversations/conv_item").status == 200


def test_conversation_can_be_used_the_moment_it_is_made(mixed: Mixed) -> None:
    for number in range(50):
        mixed["one"].script(plain({"id": f"conv_soon_{number}"}), plain({"id": f"conv_soon_{number}"}))
        with WireClient(mixed.gateway.address) as client:
            client.send(message("POST", "/v1/conversations", {}))
            made = client.answer().json()["id"]
            client.send(message("GET", f"/v1/conversations/{made}"))

            assert client.answer().status == 200


# ---------------------------------------------------------------- translated to chat


def test_plain_answer_of_a_chat_server(mixed: Mixed) -> None:
    mixed["chat"].script(plain(completion("Hello.")))

    with openai.OpenAI(base_url=mixed.gateway.api, api_key=RED, max_retries=0) as client:
        made = client.responses.create(model="chat", input="Hi", instructions="Be brief.", max_output_tokens=5)

    sent = mixed["chat"].last
    assert (made.output_text, made.status, made.instructions) == ("Hello.", "completed", "Be brief.")
    assert (made.usage.input_tokens, made.usage.output_tokens) == (9, 3) if made.usage else pytest.fail("no usage")
    assert sent.target == "/v1/chat/completions"
    assert sent.json()["model"] == "chat-model"
    assert [said["role"] for said in sent.json()["messages"]] == ["system", "user"]


def test_stream_of_a_chat_server(mixed: Mixed) -> None:
    usage = chunk(choices=[], usage=USAGE)
    mixed["chat"].script(stream(*events(chunk("Hel"), chunk("lo."), chunk(finish="stop"), usage, b"[DONE]")))

    with (
        openai.OpenAI(base_url=mixed.gateway.api, api_key=RED, max_retries=0) as client,
        client.responses.stream(model="chat", input="Hi", extra_headers={"x-request-id": "chat-stream"}) as read,
    ):
        deltas = [event.delta for event in read if event.type == "response.output_text.delta"]
        final = read.get_final_response()

    assert deltas == ["Hel", "lo."]
    assert final.output_text == "Hello."
    assert mixed.gateway.wait_for_log(request_id="chat-stream")["usage"]["output_tokens"] == 3


def test_what_a_chat_server_cannot_do_is_named(mixed: Mixed) -> None:
    answer = mixed.post(RESPONSES, responses_request("chat", truncation="auto", safety_identifier="u"))

    assert answer.status == 200
    assert set(answer.headers["x-tierway-dropped"].split(", ")) & {"truncation", "safety_identifier"}


def test_hosted_tool_is_refused_before_it_is_sent(mixed: Mixed) -> None:
    answer = mixed.post(RESPONSES, responses_request("chat", tools=[{"type": "web_search"}]))

    assert (answer.status, answer.json()["error"]["code"]) == (400, "unsupported_parameter")
    assert seen(mixed) == {}


@pytest.mark.parametrize("name", ["x\r\nset-cookie: a=b", "x\nset-cookie: a=b", "x\0y", "x\u2028y"])
def test_member_names_cannot_add_headers(mixed: Mixed, name: str) -> None:
    answer = mixed.post(RESPONSES, responses_request("chat", **{name: 1}))

    assert answer.status == 200
    assert "set-cookie" not in answer.headers


def test_error_in_mid_stream_has_the_shape_of_responses(mixed: Mixed) -> None:
    mixed["chat"].script(stream(*events(chunk("Hel"), error("Broke.", "boom", "server_error"))))

    answer = mixed.post(RESPONSES, responses_request("chat", stream=True))

    name, told = read_events(answer.body)[-1]
    assert (name, told["type"], told["message"], told["code"]) == ("error", "error", "Broke.", "boom")
    assert not answer.ended_well
    assert b"response.completed" not in answer.body


@pytest.mark.parametrize("digits", [20, 400, 4000])
@pytest.mark.parametrize("model", ["one", "chat", "claude", "only"])
@pytest.mark.parametrize("member", ["max_output_tokens", "temperature", "top_p", "top_logprobs", "unheard_of"])
def test_huge_integers_never_break_the_gateway(mixed: Mixed, digits: int, model: str, member: str) -> None:
    body = b'{"model":"%b","input":"Hi","%b":1%b}' % (model.encode(), member.encode(), b"0" * digits)

    answer = mixed.post(RESPONSES, body)

    assert answer.status != 500


@pytest.mark.parametrize("depth", [50, 150, 199, 201, 400, 600, 800, 900, 950, 980, 1000, 5000])
@pytest.mark.parametrize("model", ["one", "chat", "claude"])
def test_deep_nesting_never_breaks_the_gateway(mixed: Mixed, depth: int, model: str) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    tool = b'{"type":"function","name":"f","parameters":%b}' % nested
    body = b'{"model":"%b","input":"Hi","tools":[%b],"\\ud83d":1}' % (model.encode(), tool)

    answer = mixed.post(RESPONSES, body)

    assert answer.status != 500


# ---------------------------------------------------------------- kept by the gateway

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"in":"Oslo"}'}}
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def spoken(received: Received) -> list[tuple[str, Any]]:
    return [(said["role"], said.get("content")) for said in received.json()["messages"]]


def test_conversation_goes_on_with_the_outputs_of_tools_alone(mixed: Mixed) -> None:
    mixed["chat"].script(plain(completion(None, tool_calls=[CALL])), plain(completion("It rains.")))
    first = mixed.post(
        RESPONSES, responses_request("chat", "Weather?", tools=[TOOL], instructions="Old orders.")
    ).json()
    called = next(item for item in first["output"] if item["type"] == "function_call")
    outputs = [{"type": "function_call_output", "call_id": called["call_id"], "output": "rain"}]

    second = mixed.post(
        RESPONSES, responses_request("chat", outputs, previous_response_id=first["id"], tools=[TOOL])
    ).json()
    third = mixed.post(RESPONSES, responses_request("chat", "Sure?", previous_response_id=second["id"])).json()

    assert third["previous_response_id"] == second["id"]
    messages = mixed["chat"].requests[1].json()["messages"]
    assert [said["role"] for said in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["function"] == CALL["function"]
    assert messages[2]["content"] == "rain"
    roles = [role for role, _ in spoken(mixed["chat"].requests[2])]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert "Old orders." not in mixed["chat"].requests[2].body.decode()


def test_conversation_kept_by_the_gateway_moves_to_an_upstream_with_responses(mixed: Mixed) -> None:
    mixed["chat"].script(plain(completion("First.")))
    first = mixed.post(RESPONSES, responses_request("chat", "One?")).json()
    mixed["one"].script(plain(response("resp_moved")))

    answer = mixed.post(RESPONSES, responses_request("one", "Two?", previous_response_id=first["id"]))

    assert answer.status == 200
    sent = mixed["one"].last.json()
    assert sent.get("previous_response_id") is None
    assert [item["role"] for item in sent["input"]] == ["user", "assistant", "user"]
    assert first["output"][0]["id"] not in mixed["one"].last.body.decode()


def test_streamed_response_can_be_continued_the_moment_it_ends(mixed: Mixed) -> None:
    usage = chunk(choices=[], usage=USAGE)
    answer = stream(*events(chunk("Hi.", "stop"), usage, b"[DONE]"))
    with WireClient(mixed.gateway.address) as client, WireClient(mixed.gateway.address) as other:
        for _ in range(200):
            mixed["chat"].script(answer, plain(completion("On.")))
            client.send(message("POST", RESPONSES, responses_request("chat", stream=True)))
            client.head()
            body = b""
            while b"event: response.completed" not in body or not body.endswith(b"\n\n"):
                piece = client.chunk()
                assert piece
                body += piece
            made = read_events(body)[-1][1]["response"]["id"]
            other.send(message("POST", RESPONSES, responses_request("chat", previous_response_id=made)))

            assert other.answer().status == 200
            while client.chunk():
                pass


def texts(items: Iterable[Any]) -> list[str]:
    return [item.content[0].text for item in items]


def test_kept_response_is_shown_listed_and_deleted(mixed: Mixed) -> None:
    mixed["chat"].script(plain(completion("Hello.")))
    said: Any = [{"role": "user", "content": str(number)} for number in range(5)]
    with openai.OpenAI(base_url=mixed.gateway.api, api_key=RED, max_retries=0) as client:
        made = client.responses.create(model="chat", input=said)

        shown = client.responses.retrieve(made.id)
        newest = client.responses.input_items.list(made.id, limit=2)
        every = texts(client.responses.input_items.list(made.id, limit=2))
        oldest = texts(client.responses.input_items.list(made.id, order="asc"))
        after = client.responses.input_items.list(made.id, order="asc", after=newest.data[1].id)
        with pytest.raises(openai.BadRequestError):
            client.responses.cancel(made.id)
        client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)
        with pytest.raises(openai.BadRequestError):
            client.responses.create(model="chat", input="On", previous_response_id=made.id)

    assert shown == made
    assert texts(newest.data) == ["4", "3"]
    assert every == ["4", "3", "2", "1", "0"]
    assert oldest == ["0", "1", "2", "3", "4"]
    assert texts(after.data) == ["4"]
    assert seen(mixed) == {"chat": 1}


@pytest.mark.parametrize("limit", ["0", "101", "x", "-1", "1.0", "%C2%B2", "9" * 5000])
def test_limit_of_input_items_is_checked(mixed: Mixed, limit: str) -> None:
    made = mixed.post(RESPONSES, responses_request("chat")).json()["id"]

    answer = mixed.ask("GET", f"{RESPONSES}/{made}/input_items?limit={limit}")

    assert (answer.status, answer.json()["error"]["param"]) == (400, "limit")


def test_kept_response_of_another_team_is_not_found(mixed: Mixed) -> None:
    made = mixed.post(RESPONSES, responses_request("chat")).json()["id"]

    assert mixed.ask("GET", f"{RESPONSES}/{made}", key=BLUE).status == 404
    assert mixed.ask("DELETE", f"{RESPONSES}/{made}", key=BLUE).status == 404
    continued = mixed.post(RESPONSES, responses_request("chat", previous_response_id=made), key=BLUE)
    assert continued.status == 400
    assert mixed.ask("GET", f"{RESPONSES}/{made}").status == 200


def test_response_that_is_not_to_be_stored_is_not_kept(mixed: Mixed) -> None:
    made = mixed.post(RESPONSES, responses_request("chat", store=False)).json()["id"]

    assert mixed.ask("GET", f"{RESPONSES}/{made}").status == 404
    assert mixed.post(RESPONSES, responses_request("chat", previous_response_id=made)).status == 400


def test_reference_to_a_kept_item_is_resolved(mixed: Mixed) -> None:
    mixed["chat"].script(plain(completion("The first answer.")))
    item = mixed.post(RESPONSES, responses_request("chat")).json()["output"][0]["id"]
    said = [{"type": "item_reference", "id": item}, {"role": "user", "content": "Go on"}]

    answer = mixed.post(RESPONSES, responses_request("chat", said))
    of_others = mixed.post(RESPONSES, responses_request("chat", said), key=BLUE)

    assert answer.status == 200
    roles = [role for role, _ in spoken(mixed["chat"].requests[1])]
    assert roles == ["assistant", "user"]
    assert "The first answer." in mixed["chat"].requests[1].body.decode()
    assert of_others.status == 400


# ---------------------------------------------------------------- across a restart


def kept_settings(upstream: ScriptedUpstream, **sections: Any) -> dict[str, Any]:
    scripted = {"kind": "openai", "base_url": upstream.url, "features": ["chat"]}
    return {"upstreams": {"s": scripted}, "models": {"m": {"upstream": "s", "price": PRICE}}, **sections}


def post(gateway: LiveGateway, document: dict[str, Any]) -> Answer:
    with WireClient(gateway.address) as client:
        client.send(message("POST", RESPONSES, document, key=None))
        return client.answer()


@pytest.mark.parametrize("sealed", [True, False], ids=["with a key", "without a key"])
def test_kept_responses_outlive_the_process_only_with_a_key(
    start_gateway: StartGateway, upstream: ScriptedUpstream, tmp_path: Path, *, sealed: bool
) -> None:
    sections = {"encryption_key": "a-key-to-seal-responses-with-0123"} if sealed else {}
    settings = kept_settings(upstream, **sections)
    secret, answered = "prompt-that-nobody-may-read", "answer-that-nobody-may-read"
    upstream.script(plain(completion(answered)), plain(completion("Second.")), plain(completion("Third.")))
    gateway = start_gateway(settings)
    first = post(gateway, {"model": "m", "input": secret}).json()["id"]
    second = post(gateway, {"model": "m", "input": "B", "previous_response_id": first}).json()["id"]
    gateway.stop()

    again = start_gateway(settings)
    third = post(again, {"model": "m", "input": "C", "previous_response_id": second})

    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert secret.encode() not in written
    assert answered.encode() not in written
    if sealed:
        assert third.status == 200
        assert [said["content"] for said in upstream.last.json()["messages"] if said["role"] == "user"] == [
            secret,
            "B",
            "C",
        ]
    else:
        assert (third.status, third.json()["error"]["code"]) == (400, "previous_response_not_found")


def test_binding_outlives_the_process(start_gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    settings = kept_settings(upstream)
    settings["upstreams"]["s"]["features"] = ["responses"]
    upstream.script(plain(response("resp_bound")), plain(response("resp_bound")))
    gateway = start_gateway(settings)
    assert post(gateway, {"model": "m", "input": "A"}).status == 200
    gateway.stop()

    again = start_gateway(settings)
    answer = post(again, {"model": "m", "input": "B", "previous_response_id": "resp_bound"})

    assert answer.status == 200
    assert upstream.last.json()["previous_response_id"] == "resp_bound"


def test_continuing_at_an_upstream_that_lost_its_responses_is_refused(
    start_gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    settings = kept_settings(upstream)
    settings["upstreams"]["s"]["features"] = ["chat", "responses"]
    upstream.script(plain(response("resp_lost")))
    gateway = start_gateway(settings)
    assert post(gateway, {"model": "m", "input": "A"}).status == 200
    gateway.stop()

    again = start_gateway(kept_settings(upstream))
    answer = post(again, {"model": "m", "input": "B", "previous_response_id": "resp_lost"})

    assert answer.status == 400
    assert len(upstream.requests) == 1


# ---------------------------------------------------------------- servers that do not say what they know

NO_SUCH_PATH = {
    "FastAPI": plain({"detail": "Not Found"}, 404),
    "method": plain({"detail": "Method Not Allowed"}, 405),
    "Go": plain(b"404 page not found", 404, kind="text/plain"),
    "HTML": plain(b"<html>404</html>", 404, kind="text/html"),
    "empty": plain(b"", 405, kind="text/plain"),
    "not implemented": plain({"error": {"message": "Not implemented.", "type": "x", "code": None}}, 501),
}


@pytest.fixture
def silent(start_gateway: StartGateway, upstream: ScriptedUpstream) -> LiveGateway:
    settings = kept_settings(upstream)
    del settings["upstreams"]["s"]["features"]
    return start_gateway(settings)


@pytest.mark.parametrize("refusal", NO_SUCH_PATH.values(), ids=NO_SUCH_PATH)
def test_server_that_knows_no_responses_is_asked_for_chat_from_then_on(
    silent: LiveGateway, upstream: ScriptedUpstream, refusal: Any
) -> None:
    upstream.script(refusal)

    answers = [post(silent, {"model": "m", "input": "A"}) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [received.target for received in upstream.requests] == ["/v1/responses"] + ["/v1/chat/completions"] * 3


NOT_ABOUT_THE_PATH = {
    "unknown model": error("The model 'm' does not exist.", "model_not_found", param="model"),
    "unknown model by its code": error("The model 'm' does not exist.", "model_not_found"),
}


@pytest.mark.parametrize("document", NOT_ABOUT_THE_PATH.values(), ids=NOT_ABOUT_THE_PATH)
def test_unknown_model_is_not_taken_for_an_unknown_address(
    silent: LiveGateway, upstream: ScriptedUpstream, document: Any
) -> None:
    upstream.script(plain(document, 404), plain(response()))

    answers = [post(silent, {"model": "m", "input": "A"}) for _ in range(2)]

    assert [answer.status for answer in answers] == [404, 200]
    assert [received.target for received in upstream.requests] == ["/v1/responses", "/v1/responses"]


def test_lost_conversation_is_not_taken_for_an_unknown_address(silent: LiveGateway, upstream: ScriptedUpstream) -> None:
    lost = {"error": {"message": "Response with id 'resp_1' not found.", "type": "NotFoundError", "code": 404}}
    upstream.script(plain(response()), plain(lost, 404), plain(response()))
    post(silent, {"model": "m", "input": "A"})

    answer = post(silent, {"model": "m", "input": "B", "previous_response_id": "resp_1"})
    after = post(silent, {"model": "m", "input": "C"})

    assert (answer.status, after.status) == (404, 200)
    assert {received.target for received in upstream.requests} == {"/v1/responses"}


def test_server_that_refuses_chat_too_is_not_remembered_as_one(silent: LiveGateway, upstream: ScriptedUpstream) -> None:
    upstream.script(plain({"detail": "Not Found"}, 404), plain({"detail": "Not Found"}, 404), plain(response()))

    first = post(silent, {"model": "m", "input": "A"})
    second = post(silent, {"model": "m", "input": "A"})

    assert (first.status, second.status) == (404, 200)
    assert upstream.last.target == "/v1/responses"


# ---------------------------------------------------------------- servers with Responses alone, and the cache


def test_chat_is_translated_for_a_server_with_responses_alone(mixed: Mixed) -> None:
    mixed["only"].script(plain(response(text="Hello.")), response_stream(text="Hello."))
    with openai.OpenAI(base_url=mixed.gateway.api, api_key=RED, max_retries=0) as client:
        said: Any = [{"role": "user", "content": "Hi"}]
        made = client.chat.completions.create(model="only", messages=said)
        options: Any = {"include_usage": True}
        chunks = list(client.chat.completions.create(model="only", messages=said, stream=True, stream_options=options))

    assert made.choices[0].message.content == "Hello."
    assert made.usage
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (9, 3)
    assert "".join(part.choices[0].delta.content or "" for part in chunks if part.choices) == "Hello."
    assert chunks[-1].usage
    assert {received.target for received in mixed["only"].requests} == {"/v1/responses"}
    assert mixed["only"].last.json()["store"] is False


def test_stored_responses_are_never_answered_from_the_cache(
    start_gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    gateway = start_gateway(kept_settings(upstream, cache={"exact": True}))

    stored = [post(gateway, {"model": "m", "input": "A"}).headers["x-tierway-cache"] for _ in range(2)]
    unstored = [
        post(gateway, {"model": "m", "input": "A", "store": False}).headers["x-tierway-cache"] for _ in range(2)
    ]

    assert stored == ["miss;skipped", "miss;skipped"]
    assert unstored[0] == "miss;miss"
    assert unstored[1].startswith("exact;1.00;")


def test_chat_and_messages_with_the_same_text_never_share_an_answer(
    start_gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    gateway = start_gateway(kept_settings(upstream, cache={"exact": True}))
    document = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    kinds = []
    with WireClient(gateway.address) as client:
        for path in ("/v1/chat/completions", "/v1/messages") * 2:
            client.send(message("POST", path, document, key=None))
            answer = client.answer()
            kinds.append(
                (answer.json().get("object", answer.json().get("type")), answer.headers["x-tierway-cache"][:4])
            )

    assert kinds == [
        ("chat.completion", "miss"), ("message", "miss"), ("chat.completion", "exac"), ("message", "exac"),
    ]  # fmt: skip
