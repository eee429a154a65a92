from __future__ import annotations

import json
import random
from typing import Any

import pytest

from gateway.domain.errors import AnswerRejectedError, StageUnavailableError
from gateway.domain.request import ModelRequest
from gateway.guarding.answers import AnswerGuard
from gateway.upstreams.base import PlainReply
from policies.sanitise.inspection import Inspection
from policies.sanitise.output.filtering import Filter, duty_of
from policies.sanitise.output.known import KnownSecrets
from policies.sanitise.settings import InputActions
from tests.support.guarded import (
    AWS,
    CHAT,
    COMPLETIONS,
    MAIL,
    MESSAGES,
    QUOTED,
    RESPONSES,
    inspection_of,
    placeholder,
)
from tests.support.kept_answers import (
    USAGE,
    chat_answer,
    message_answer,
    plain,
    response_answer,
    response_message,
    tool_call,
)
from tests.support.mixed_texts import mixed_text


async def guarded(
    inspection: Inspection, document: Any, request: ModelRequest, known: KnownSecrets | None = None
) -> Any:
    reply = await AnswerGuard(known).guard(inspection, plain(document), request)
    assert isinstance(reply, PlainReply)
    return json.loads(reply.body)


def marked(rule: str = "email", value: str = MAIL, **settings: Any) -> tuple[Inspection, str]:
    """Return an inspection and the placeholder that it knows."""
    inspection = inspection_of(**settings)
    return inspection, placeholder(inspection, rule, value)


async def test_without_an_inspection_the_same_reply_comes_back() -> None:
    reply = plain(chat_answer())

    assert await AnswerGuard().guard(None, reply, CHAT) is reply


async def test_where_nothing_was_replaced_and_nothing_is_looked_for_the_same_reply_comes_back() -> None:
    reply = plain(chat_answer())

    assert await AnswerGuard().guard(inspection_of(input=InputActions(pii="redact")), reply, CHAT) is reply


async def test_own_secrets_alone_are_no_reason_to_read_an_answer() -> None:
    reply = plain(chat_answer())
    guard = AnswerGuard(KnownSecrets(["upstream-key-123456"]))

    assert await guard.guard(inspection_of(input=InputActions(pii="redact")), reply, CHAT) is reply


async def test_an_answer_in_which_nothing_changes_keeps_its_bytes() -> None:
    body = (
        b'{ "choices":[{"message" :{"content":"Hi [x]","tool_calls":[]}}], "n":1.0e0, "big":12345678901234567890123 }'
    )
    reply = plain(body)
    inspection, _ = marked(output={"pii": "redact"})

    assert await AnswerGuard().guard(inspection, reply, CHAT) is reply


async def test_only_the_changed_text_is_written_anew() -> None:
    inspection, mark = marked()
    body = b'{ "choices":[{"message" :{"content":"To %s"}}],"n":1.0e0 }' % mark.encode()

    reply = await AnswerGuard().guard(inspection, plain(body), CHAT)

    assert isinstance(reply, PlainReply)
    assert reply.body == b'{ "choices":[{"message" :{"content":"To ann.smith@firm.org"}}],"n":1.0e0 }'


async def test_every_text_of_a_completion_is_restored() -> None:
    inspection, mark = marked("secret", QUOTED)
    call = tool_call(arguments=json.dumps({"to": mark}))
    custom = {"id": "c", "type": "custom", "custom": {"name": "shell", "input": mark}}
    told = {"refusal": mark, "reasoning_content": mark, "tool_calls": [call, custom], "function_call": call["function"]}

    answer = await guarded(inspection, chat_answer(mark, **told), CHAT)

    message = answer["choices"][0]["message"]
    assert [message[name] for name in ("content", "refusal", "reasoning_content")] == [QUOTED] * 3
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"to": QUOTED}
    assert message["tool_calls"][1]["custom"]["input"] == QUOTED
    assert json.loads(message["function_call"]["arguments"]) == {"to": QUOTED}
    assert inspection.restored == 6


async def test_parts_of_a_completions_content_are_restored() -> None:
    inspection, mark = marked()
    document = chat_answer()
    document["choices"][0]["message"]["content"] = [
        {"type": "text", "text": mark},
        {"type": "refusal", "refusal": mark},
    ]

    answer = await guarded(inspection, document, CHAT)

    assert answer["choices"][0]["message"]["content"] == [
        {"type": "text", "text": MAIL},
        {"type": "refusal", "refusal": MAIL},
    ]


async def test_texts_of_a_response_are_restored_and_reasoning_is_not() -> None:
    inspection, mark = marked("secret", QUOTED)
    call = {"type": "function_call", "name": "f", "call_id": "c", "arguments": json.dumps({"to": mark})}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": mark}], "content": []}
    output = (thought, response_message(mark), call, {"type": "custom_tool_call", "name": "g", "input": mark})

    answer = await guarded(inspection, response_answer(*output, instructions=f"Ask {mark}"), RESPONSES)

    assert answer["output"][0] == thought
    assert answer["output"][1]["content"][0]["text"] == QUOTED
    assert json.loads(answer["output"][2]["arguments"]) == {"to": QUOTED}
    assert answer["output"][3]["input"] == QUOTED
    assert answer["instructions"] == f"Ask {QUOTED}"


async def test_texts_of_a_message_are_restored_and_thinking_is_not() -> None:
    inspection, mark = marked("secret", QUOTED)
    thought = {"type": "thinking", "thinking": mark, "signature": "s"}
    used = {"type": "tool_use", "id": "t", "name": "f", "input": {"to": [mark, {"and": mark}], "n": 1}}

    answer = await guarded(inspection, message_answer(thought, {"type": "text", "text": mark}, used), MESSAGES)

    assert answer["content"][0] == thought
    assert answer["content"][1]["text"] == QUOTED
    assert answer["content"][2]["input"] == {"to": [QUOTED, {"and": QUOTED}], "n": 1}


async def test_the_text_of_a_legacy_completion_is_restored() -> None:
    inspection, mark = marked()
    document = {"choices": [{"index": 0, "text": f"To {mark}", "logprobs": {"tokens": ["To"]}}]}

    answer = await guarded(inspection, document, COMPLETIONS)

    assert answer["choices"] == [{"index": 0, "text": f"To {MAIL}", "logprobs": None}]


async def test_log_probabilities_go_only_where_the_text_changes() -> None:
    inspection, mark = marked()
    document = chat_answer(mark)
    other = chat_answer("Nothing.")["choices"][0]
    document["choices"] = [
        {**document["choices"][0], "logprobs": {"content": [1]}},
        {**other, "logprobs": {"content": [2]}},
    ]

    answer = await guarded(inspection, document, CHAT)

    assert [choice["logprobs"] for choice in answer["choices"]] == [None, {"content": [2]}]


async def test_restoring_can_be_off() -> None:
    inspection, mark = marked(restore=False, output={"secrets": "redact"})

    answer = await guarded(inspection, chat_answer(mark), CHAT)

    assert answer["choices"][0]["message"]["content"] == mark


async def test_findings_are_told_with_their_place() -> None:
    inspection = inspection_of(output={"secrets": "redact"})

    await guarded(inspection, chat_answer(f"Key {AWS}."), CHAT)

    verdict = inspection.verdicts[0]
    assert (verdict.detector, verdict.action, verdict.direction) == ("secrets", "redact", "output")
    assert (verdict.place, verdict.ranges) == ("choices[0].message.content", ((4, 24),))


async def test_a_blocked_answer_is_refused_without_what_was_found() -> None:
    inspection = inspection_of(output={"secrets": "block"})

    with pytest.raises(AnswerRejectedError) as error:
        await guarded(inspection, chat_answer(f"Key {AWS}."), CHAT)

    assert AWS not in error.value.message
    assert (error.value.status, error.value.code, error.value.should_retry) == (400, "content_policy", False)
    assert inspection.counts == {("output", "secrets", "block"): 1}


async def test_a_large_answer_is_guarded_too() -> None:
    inspection, mark = marked(output={"pii": "redact"})

    answer = await guarded(inspection, chat_answer("word " * 20_000 + mark), CHAT)

    assert answer["choices"][0]["message"]["content"].endswith(f"word {MAIL}")


async def test_own_secrets_are_taken_out() -> None:
    inspection = inspection_of(output={"pii": "flag"})

    answer = await guarded(
        inspection, chat_answer("It is upstream-key-123456."), CHAT, KnownSecrets(["upstream-key-123456"])
    )

    assert answer["choices"][0]["message"]["content"] == "It is [REDACTED_SECRET]."


async def test_a_guard_that_breaks_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    inspection, mark = marked()

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("gateway.guarding.answers.texts_of_answer", broken)

    with pytest.raises(StageUnavailableError):
        await guarded(inspection, chat_answer(mark), CHAT)


async def test_time_is_told() -> None:
    inspection, mark = marked()

    await guarded(inspection, chat_answer(mark), CHAT)

    assert inspection.spent_us > 0


async def test_names_of_arguments_are_in_no_verdict() -> None:
    inspection = inspection_of(output={"pii": "flag"})
    used = {"type": "tool_use", "id": "t", "name": "f", "input": {"bob@firm.org": [MAIL]}}

    await guarded(inspection, message_answer(used), MESSAGES)

    assert [verdict.place for verdict in inspection.verdicts] == ["content[0].input"]


async def test_an_answer_that_is_blocked_is_forgotten() -> None:
    forgotten: list[str] = []

    async def forget(record_id: str) -> None:
        forgotten.append(record_id)

    reply = PlainReply(body=json.dumps(response_answer(response_message(AWS))).encode(), usage=USAGE, response_id="r1")

    with pytest.raises(AnswerRejectedError):
        await AnswerGuard().guard(inspection_of(output={"secrets": "block"}), reply, RESPONSES, forget)

    assert forgotten == ["r1"]


async def test_a_fetched_response_is_guarded() -> None:
    inspection, mark = marked(output={"secrets": "redact"})
    body = json.dumps(response_answer(response_message(f"{mark} {AWS}"))).encode()

    fetched = json.loads(await AnswerGuard().guard_response(inspection, body))

    assert fetched["output"][0]["content"][0]["text"] == f"{MAIL} [REDACTED_SECRET]"


async def test_a_page_of_input_items_is_restored_and_not_looked_through() -> None:
    inspection, mark = marked(output={"secrets": "redact"})
    items = [
        {"type": "message", "role": "user", "content": f"{mark} {AWS}"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": mark}]},
        {"type": "function_call", "name": "f", "arguments": json.dumps({"to": mark})},
        {"type": "function_call_output", "call_id": "c", "output": mark},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": mark}]},
    ]

    page = json.loads(await AnswerGuard().restore_page(inspection, json.dumps({"data": items}).encode()))["data"]

    assert page[0]["content"] == f"{MAIL} {AWS}"
    assert page[1]["content"][0]["text"] == MAIL
    assert json.loads(page[2]["arguments"]) == {"to": MAIL}
    assert page[3]["output"] == MAIL
    assert page[4] == items[4]


@pytest.mark.parametrize("is_ascii", [False, True])
async def test_answers_however_they_are_written_say_what_a_filter_leaves_of_their_texts(is_ascii: bool) -> None:  # noqa: FBT001
    source = random.Random(7)  # noqa: S311  the same each time
    guard = AnswerGuard()
    for _ in range(200):
        inspection, mark = marked(output={"secrets": "redact", "pii": "redact"})
        said = mixed_text(source) + source.choice(("", mark))
        body = json.dumps(chat_answer(said), ensure_ascii=is_ascii).encode()

        reply = await guard.guard(inspection, PlainReply(body=body, usage=USAGE), CHAT)

        assert isinstance(reply, PlainReply)
        left = Filter(duty_of(inspection), "content").whole(said)
        assert json.loads(reply.body)["choices"][0]["message"]["content"] == left
        assert (reply.body == body) == (left == said)
