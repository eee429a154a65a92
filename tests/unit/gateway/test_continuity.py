from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.continuity import Continuity, RememberedStream, owner
from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.domain.responses import ResponsesRequest, read_compact, read_responses
from gateway.domain.usage import NO_USAGE, Usage
from gateway.stored.responses import Bound, Kept, StoredResponses
from gateway.upstreams.base import Headers, PlainReply
from gateway.upstreams.settings import Model
from policies.sanitise.redaction.redactor import Vault
from router.base import Decision
from tests.support.build import caller, stored_responses

VAULT = Vault(suffix="k7q2x", values={"EMAIL_1": "ann@firm.org"})
MODELS = {"a": Model(upstream="A"), "a2": Model(upstream="A"), "b": Model(upstream="B")}
CALLER = caller()
OTHER = caller(team="billing")
PINNED = Decision(tier=None, confidence=1.0, reason="pinned", candidates=("a",))
TIER = Decision(tier="simple", confidence=1.0, reason="fixed", candidates=("b", "a", "a2"))
OUTPUT = [
    {"id": "rs_ab_0", "type": "reasoning", "summary": [], "encrypted_content": "sealed"},
    {"id": "msg_ab_1", "type": "message", "role": "assistant", "status": "completed", "content": "It rains."},
]


def asked(**fields: Any) -> ResponsesRequest:
    return read_responses(json.dumps({"model": "a", "input": "Hi", **fields}).encode())


def reply(response_id: str = "resp_ab", *, translated: bool = True) -> PlainReply:
    body = json.dumps({"id": response_id, "output": OUTPUT}).encode()
    return PlainReply(body=body, usage=NO_USAGE, response_id=response_id, dropped=() if translated else None)


@pytest.fixture
def stored() -> StoredResponses:
    return stored_responses()


@pytest.fixture
async def continuity(stored: StoredResponses) -> AsyncIterator[Continuity]:
    yield Continuity(stored, MODELS)
    await stored.close()


async def refused(
    continuity: Continuity, request: ResponsesRequest, decision: Decision = PINNED
) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        await continuity.resume(CALLER, request, decision)
    return caught.value


async def test_a_request_that_continues_nothing_is_left_as_it_is(continuity: Continuity) -> None:
    request = asked()

    assert await continuity.resume(CALLER, request, TIER) == (request, TIER)


async def test_what_an_upstream_keeps_is_bound_to_it(continuity: Continuity, stored: StoredResponses) -> None:
    made = reply(translated=False)

    assert await continuity.remember(CALLER, asked(), "a2", made) is made

    assert await stored.find("resp_ab", owner(CALLER)) == Bound("A", "a2")


async def test_what_was_translated_is_kept(continuity: Continuity, stored: StoredResponses) -> None:
    await continuity.remember(CALLER, asked(), "a", reply())

    found = await stored.find("resp_ab", owner(CALLER))
    assert isinstance(found, Kept)
    assert json.loads(found.items) == [{"type": "message", "role": "user", "content": "Hi"}]


@pytest.mark.parametrize("translated", [True, False])
async def test_what_placeholders_stand_for_is_kept_with_a_response(continuity: Continuity, *, translated: bool) -> None:
    await continuity.remember(CALLER, asked(), "a", reply(translated=translated), VAULT)

    assert await continuity.vault_of(CALLER, "resp_ab") == VAULT
    assert await continuity.vault_of(OTHER, "resp_ab") is None


async def test_what_placeholders_stand_for_is_kept_with_a_conversation(continuity: Continuity) -> None:
    await continuity.remember(CALLER, asked(conversation="conv_1"), "a", reply(translated=False), VAULT)

    assert await continuity.vault_of(CALLER, "conv_1") == VAULT


@pytest.mark.parametrize("vault", [None, Vault(suffix="k7q2x", values={})])
async def test_where_nothing_was_replaced_nothing_is_kept(continuity: Continuity, vault: Vault | None) -> None:
    await continuity.remember(CALLER, asked(), "a", reply(), vault)

    assert await continuity.vault_of(CALLER, "resp_ab") is None
    assert await continuity.vault_of(CALLER, None) is None


async def test_what_placeholders_stand_for_is_forgotten_with_the_response(continuity: Continuity) -> None:
    await continuity.remember(CALLER, asked(), "a", reply(), VAULT)

    await continuity.forget(CALLER, "resp_ab")

    assert await continuity.vault_of(CALLER, "resp_ab") is None


async def test_what_is_not_to_be_stored_is_not(continuity: Continuity, stored: StoredResponses) -> None:
    await continuity.remember(CALLER, asked(store=False), "a", reply())

    assert await stored.find("resp_ab", owner(CALLER)) is None


async def test_a_kept_conversation_is_put_before_the_input(continuity: Continuity) -> None:
    await continuity.remember(CALLER, asked(instructions="Old orders."), "a", reply())
    request = asked(previous_response_id="resp_ab", input=[{"role": "user", "content": "Sure?"}], new=1.0)

    resumed, decision = await continuity.resume(CALLER, request, TIER)

    assert decision == TIER
    assert [item.get("type") for item in resumed.document["input"]] == ["message", "reasoning", "message", None]
    assert resumed.document["previous_response_id"] == "resp_ab"
    sent = json.loads(resumed.body)
    assert sent["previous_response_id"] is None
    assert sent["new"] == 1.0
    assert sent["input"] == [
        {"type": "message", "role": "user", "content": "Hi"},
        {"type": "message", "role": "assistant", "content": "It rains."},
        {"role": "user", "content": "Sure?"},
    ]
    assert resumed.is_whole
    assert not resumed.is_faithful
    assert b"Old orders." not in resumed.body


async def test_each_turn_keeps_all_that_came_before(continuity: Continuity, stored: StoredResponses) -> None:
    await continuity.remember(CALLER, asked(), "a", reply("resp_aa"))
    second, _ = await continuity.resume(CALLER, asked(previous_response_id="resp_aa", input="Two"), PINNED)

    await continuity.remember(CALLER, second, "a", reply("resp_bb"))

    found = await stored.find("resp_bb", owner(CALLER))
    assert isinstance(found, Kept)
    assert [item.get("content") for item in json.loads(found.items)] == ["Hi", None, "It rains.", "Two"]


async def test_the_kind_of_request_stays(continuity: Continuity) -> None:
    await continuity.remember(CALLER, asked(), "a", reply())
    request = read_compact(b'{"model":"a","previous_response_id":"resp_ab"}')

    resumed, _ = await continuity.resume(CALLER, request, PINNED)

    assert resumed.shape == "compact"


async def test_an_unknown_response_cannot_be_continued(continuity: Continuity) -> None:
    error = await refused(continuity, asked(previous_response_id="resp_xx"))

    assert (error.code, error.param) == ("previous_response_not_found", "previous_response_id")


async def test_another_teams_response_is_unknown(continuity: Continuity) -> None:
    await continuity.remember(OTHER, asked(), "a", reply())

    assert (await refused(continuity, asked(previous_response_id="resp_ab"))).code == "previous_response_not_found"
    with pytest.raises(NotFoundError):
        await continuity.find(CALLER, "resp_ab")


async def test_a_tier_is_narrowed_to_where_the_response_is(continuity: Continuity) -> None:
    await continuity.remember(CALLER, asked(), "a2", reply(translated=False))
    request = asked(previous_response_id="resp_ab")

    resumed, decision = await continuity.resume(CALLER, request, TIER)

    assert resumed is request
    assert decision.candidates == ("a", "a2")
    assert decision.tier == "simple"


async def test_a_tier_without_a_model_there_takes_the_one_that_answered(continuity: Continuity) -> None:
    await continuity.remember(CALLER, asked(), "a2", reply(translated=False))
    elsewhere = Decision(tier="simple", confidence=1.0, reason="fixed", candidates=("b",))

    _, decision = await continuity.resume(CALLER, asked(previous_response_id="resp_ab"), elsewhere)

    assert decision.candidates == ("a2",)


async def test_a_model_that_is_elsewhere_is_refused(continuity: Continuity) -> None:
    await continuity.remember(CALLER, asked(), "b", reply(translated=False))

    error = await refused(continuity, asked(previous_response_id="resp_ab"))

    assert (error.code, error.param) == ("previous_response_elsewhere", "model")


async def test_a_tier_is_refused_when_the_model_that_answered_is_gone(stored: StoredResponses) -> None:
    await Continuity(stored, {**MODELS, "old": Model(upstream="O")}).remember(
        CALLER, asked(), "old", reply(translated=False)
    )

    error = await refused(Continuity(stored, MODELS), asked(previous_response_id="resp_ab"), TIER)

    assert error.code == "previous_response_elsewhere"


async def test_a_conversation_is_bound_like_a_response(continuity: Continuity) -> None:
    await continuity.bind(CALLER, "conv_1", "B")

    _, decision = await continuity.resume(CALLER, asked(conversation="conv_1"), TIER)

    assert decision.candidates == ("b",)
    assert (await refused(continuity, asked(conversation="conv_1"))).code == "previous_response_elsewhere"
    with pytest.raises(NotFoundError):
        await continuity.resume(OTHER, asked(conversation="conv_1"), TIER)
    await continuity.forget(CALLER, "conv_1")
    with pytest.raises(NotFoundError):
        await continuity.resume(CALLER, asked(conversation="conv_1"), TIER)


async def test_a_kept_response_is_no_conversation(continuity: Continuity) -> None:
    await continuity.remember(CALLER, asked(), "a", reply())

    with pytest.raises(NotFoundError):
        await continuity.resume(CALLER, asked(conversation="resp_ab"), TIER)


async def test_references_to_kept_items_are_replaced(continuity: Continuity) -> None:
    await continuity.remember(CALLER, asked(), "a", reply())
    unknown = [
        {"type": "item_reference", "id": "msg_cd_0"},
        {"type": "item_reference"},
        {"type": "item_reference", "id": 1},
    ]
    request = asked(input=[{"type": "item_reference", "id": "msg_ab_1"}, *unknown])

    resumed, _ = await continuity.resume(CALLER, request, PINNED)
    others, _ = await continuity.resume(OTHER, request, PINNED)

    assert resumed.document["input"] == [OUTPUT[1], *unknown]
    assert json.loads(resumed.body)["input"] == resumed.document["input"]
    assert others.document["input"][0]["type"] == "item_reference"


class Stream:
    """A stream of two blocks, whose response is known with the first or, if it was translated, with the last."""

    headers: Headers = ()
    is_ended = False

    def __init__(self, *, translated: bool, is_cut: bool = False) -> None:
        self.dropped: tuple[str, ...] | None = () if translated else None
        self.response_id, self.final = "", b""
        self._blocks = [b"one"] if is_cut else [b"one", b"two"]
        self._is_cut = is_cut

    async def block(self) -> bytes | None:
        self.response_id = "resp_ab"
        block = self._blocks.pop(0) if self._blocks else None
        if not self._blocks and not self._is_cut and self.dropped is not None:
            self.final = reply().body
        return block

    def usage(self) -> Usage:
        return NO_USAGE

    async def close(self) -> None:
        self._blocks.clear()


async def test_a_stream_is_bound_before_its_first_block_is_sent(
    continuity: Continuity, stored: StoredResponses
) -> None:
    stream: Any = await continuity.remember(CALLER, asked(stream=True), "a", Stream(translated=False))

    assert await stream.block() == b"one"
    assert await stored.find("resp_ab", owner(CALLER)) == Bound("A", "a")


async def test_a_translated_stream_is_kept_before_its_last_block_is_sent(
    continuity: Continuity, stored: StoredResponses
) -> None:
    stream: Any = await continuity.remember(CALLER, asked(stream=True), "a", Stream(translated=True))
    assert isinstance(stream, RememberedStream)

    assert await stream.block() == b"one"
    assert await stored.find("resp_ab", owner(CALLER)) is None
    assert await stream.block() == b"two"
    assert isinstance(await stored.find("resp_ab", owner(CALLER)), Kept)
    assert await stream.block() is None


async def test_a_translated_stream_that_is_cut_is_not_kept(continuity: Continuity, stored: StoredResponses) -> None:
    stream: Any = await continuity.remember(CALLER, asked(stream=True), "a", Stream(translated=True, is_cut=True))
    while await stream.block():
        pass
    await stream.close()

    assert await stored.find("resp_ab", owner(CALLER)) is None
    assert stream.usage() is NO_USAGE


async def test_huge_numbers_are_kept_as_they_are(continuity: Continuity, stored: StoredResponses) -> None:
    await continuity.remember(CALLER, asked(input=[{"role": "user", "content": "x", "n": 10**400}]), "a", reply())

    found = await stored.find("resp_ab", owner(CALLER))
    assert isinstance(found, Kept)
    assert json.loads(found.items)[0]["n"] == 10**400
