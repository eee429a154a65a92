from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cache.calibration.keeper import BudgetKeeper
from cache.calibration.table import UNMEASURED, threshold_for
from cache.semantic.base import Found, Missed
from cache.semantic.cache import SemanticCache
from cache.semantic.settings import SemanticSettings
from gateway.domain.embedding import EmbedderLateError, EmbedderUnavailableError, TextTooLongError
from tests.support.clock import Clock
from tests.support.embedding import FakeEmbedder
from tests.support.semantic import (
    CAPITAL,
    DIMENSION,
    EGG,
    SCOPE,
    THE_EGG,
    WHY_EGG,
    BrokenLog,
    DictPayloads,
    MemoryLog,
    embedder,
    keep,
    make_cache,
    warmed,
)

OTHER: bytes = b"scope of another team"
LOOK_UPS = 100_000


class SlowEmbedder(FakeEmbedder):
    """Answers once the gate is open, and gives up when the time is over."""

    def __init__(self) -> None:
        super().__init__(DIMENSION, identity=embedder().identity)
        self.gate = asyncio.Event()
        self.budgets: list[float | None] = []

    async def embed(self, texts: Sequence[str], *, budget_s: float | None = None) -> NDArray[np.float32]:
        self.budgets.append(budget_s)
        try:
            async with asyncio.timeout(budget_s):
                await self.gate.wait()
        except TimeoutError as error:
            raise EmbedderLateError("late") from error
        return await super().embed(texts)


@pytest.fixture
def payloads() -> DictPayloads:
    return DictPayloads()


@pytest.fixture
def fake() -> FakeEmbedder:
    return embedder()


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
async def cache(payloads: DictPayloads, fake: FakeEmbedder, clock: Clock) -> AsyncIterator[SemanticCache]:
    made = await warmed(make_cache(payloads=payloads, fake=fake, clock=clock))
    yield made
    await made.close()


async def ask(cache: SemanticCache, text: str, scope: bytes = SCOPE, **options: Any) -> Found | Missed:
    return await cache.begin(scope, text).result(1.0, **options)


async def hit(cache: SemanticCache, text: str, scope: bytes = SCOPE) -> Found:
    found = await ask(cache, text, scope)
    assert isinstance(found, Found), found
    return found


async def reason(cache: SemanticCache, text: str, scope: bytes = SCOPE, **options: Any) -> str:
    missed = await ask(cache, text, scope, **options)
    assert isinstance(missed, Missed), missed
    return missed.reason


async def test_a_like_question_gets_the_stored_answer(
    cache: SemanticCache, payloads: DictPayloads, clock: Clock
) -> None:
    await keep(cache, payloads, 7, EGG)
    clock.now += 120.0

    found = await hit(cache, THE_EGG)

    assert (found.entry_id, found.payload, found.answer, found.age_s) == (7, "answer 7", b"answer 7", 120.0)
    assert found.similarity == pytest.approx(0.95, abs=0.005)
    assert cache.counts == {"empty": 1, "hit": 1}


async def test_looking_up_in_one_call_finds_the_same(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG)

    found = await cache.look_up(SCOPE, THE_EGG, category="faq", budget_s=1.0)

    assert isinstance(found, Found)
    assert (found.entry_id, found.category) == (7, "faq")


async def test_no_other_scope_is_answered(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG)

    assert await reason(cache, EGG, OTHER) == "empty"


async def test_what_a_rule_refuses_is_missed_under_its_name(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG)

    assert await reason(cache, WHY_EGG) == "wh-words"


async def test_a_question_without_a_common_word_does_not_wait_for_its_vector(payloads: DictPayloads) -> None:
    slow = SlowEmbedder()
    cache = await warmed(make_cache(payloads=payloads, fake=slow))
    slow.gate.set()
    await keep(cache, payloads, 7, EGG)
    slow.gate.clear()

    assert await reason(cache, CAPITAL) == "unlike"
    await cache.close()


async def test_an_empty_scope_waits_for_nothing(payloads: DictPayloads) -> None:
    cache = await warmed(make_cache(payloads=payloads, fake=SlowEmbedder()))

    assert await reason(cache, EGG) == "empty"
    await cache.close()


async def test_a_far_question_is_missed(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG)

    missed = await ask(cache, "How firm is a tennis ball?")

    assert isinstance(missed, Missed)
    assert missed.reason == "far"
    assert missed.similarity < missed.required == pytest.approx(threshold_for(0.01))


@pytest.mark.parametrize(
    ("text", "why"),
    [("What is the weather in Oslo?", "volatile"), ("Where is my order?", "personal"), ("x" * 2000, "long")],
)
async def test_what_likeness_does_not_answer_is_neither_embedded_nor_kept(
    cache: SemanticCache, payloads: DictPayloads, fake: FakeEmbedder, text: str, why: str
) -> None:
    assert await reason(cache, text) == why
    assert not await keep(cache, payloads, 7, text)
    assert fake.asked == []
    assert len(cache.entries) == 0


async def test_the_vector_of_a_miss_is_made_once(
    cache: SemanticCache, payloads: DictPayloads, fake: FakeEmbedder
) -> None:
    await keep(cache, payloads, 7, EGG)
    await keep(cache, payloads, 8, WHY_EGG)

    assert fake.asked == [EGG, WHY_EGG]


async def test_asking_a_search_again_gives_the_same_and_counts_once(
    cache: SemanticCache, payloads: DictPayloads
) -> None:
    await keep(cache, payloads, 7, EGG)
    search = cache.begin(SCOPE, THE_EGG)

    assert await search.result(1.0) is await search.result(1.0)
    assert cache.counts["hit"] == 1


async def test_a_vector_that_takes_too_long_is_a_miss_and_still_of_use(payloads: DictPayloads) -> None:
    slow = SlowEmbedder()
    cache = await warmed(make_cache(payloads=payloads, fake=slow))
    slow.gate.set()
    await keep(cache, payloads, 7, EGG)
    slow.gate.clear()
    search = cache.begin(SCOPE, WHY_EGG)
    missed = await search.result(0.0)
    slow.gate.set()

    assert missed == Missed("late")
    assert await cache.add(search, 8, b"", expires_at=4e9)
    assert slow.budgets == [2.0, 0.02]
    await cache.close()


async def test_a_vector_that_was_given_up_is_made_anew_for_the_entry(payloads: DictPayloads) -> None:
    slow = SlowEmbedder()
    cache = await warmed(make_cache(payloads=payloads, fake=slow))
    slow.gate.set()
    await keep(cache, payloads, 7, EGG)
    slow.gate.clear()
    search = cache.begin(SCOPE, WHY_EGG)

    assert await search.result(5.0) == Missed("late")
    slow.gate.set()
    assert await cache.add(search, 8, b"", expires_at=4e9)
    assert slow.budgets == [2.0, 0.02, 2.0]
    await cache.close()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (EmbedderLateError("x"), "late"),
        (EmbedderUnavailableError("x"), "embedder"),
        (TextTooLongError("x"), "long"),
        (ZeroDivisionError("x"), "embedder"),
    ],
)
async def test_an_embedder_that_fails_is_a_miss(
    cache: SemanticCache, payloads: DictPayloads, fake: FakeEmbedder, error: Any, why: str
) -> None:
    await keep(cache, payloads, 7, EGG)
    fake.error = error

    assert await reason(cache, THE_EGG) == why
    assert not await keep(cache, payloads, 8, WHY_EGG)
    assert cache.counts[why] == 2
    assert cache.not_added == 1


async def test_a_lost_embedder_is_complained_of_until_it_is_back(cache: SemanticCache, fake: FakeEmbedder) -> None:
    fake.error = EmbedderUnavailableError("x")
    await cache.add(cache.begin(SCOPE, EGG), 7, b"", expires_at=4e9)
    lost = cache.complaint
    fake.error = None
    await cache.add(cache.begin(SCOPE, EGG), 7, b"", expires_at=4e9)

    assert "no embedder" in lost
    assert cache.complaint == ""


async def test_an_index_that_fails_is_a_miss(cache: SemanticCache, payloads: DictPayloads, fake: FakeEmbedder) -> None:
    await keep(cache, payloads, 7, EGG)
    fake.dimension = DIMENSION + 1

    assert await reason(cache, THE_EGG) == "failed"
    assert "ValueError" in cache.complaint


async def test_a_vector_without_a_direction_is_no_entry(cache: SemanticCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeEmbedder, "vector", lambda self, text: np.zeros(DIMENSION, np.float32))

    assert not await cache.add(cache.begin(SCOPE, EGG), 7, b"", expires_at=4e9)
    assert (cache.added, cache.not_added) == (0, 1)


async def test_payloads_that_fail_are_a_miss_and_lose_nothing(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG)
    payloads.error = ConnectionError("gone")
    assert await reason(cache, THE_EGG) == "payload"

    payloads.error = None

    assert (await hit(cache, THE_EGG)).entry_id == 7


async def test_an_entry_without_its_payload_is_missed_and_forgotten(
    cache: SemanticCache, payloads: DictPayloads
) -> None:
    await keep(cache, payloads, 7, EGG)
    payloads.kept.clear()

    assert await reason(cache, THE_EGG) == "gone"
    assert len(cache.entries) == 0


async def test_where_one_payload_is_gone_the_next_entry_answers(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG, answer="ten minutes")
    search = cache.begin(SCOPE, f"{EGG} Please")
    await search.result(0.0)
    payloads.kept[8] = (SCOPE, "ten minutes")
    await cache.add(search, 8, b"ten minutes", expires_at=4e9)
    del payloads.kept[7]

    assert (await hit(cache, THE_EGG)).entry_id == 8


async def test_where_all_payloads_are_gone_few_are_tried(cache: SemanticCache, payloads: DictPayloads) -> None:
    for entry_id, word in enumerate(("", "please", "kindly", "then", "here")):
        await keep(cache, payloads, entry_id, f"{EGG} {word}", answer="one answer")
    payloads.kept.clear()

    assert await reason(cache, THE_EGG) == "gone"
    assert len(cache.entries) == 2


async def test_an_entry_that_is_deleted_while_its_payload_is_read_is_no_hit(fake: FakeEmbedder) -> None:
    class Slow(DictPayloads):
        async def get(self, entry_id: int, scope: bytes) -> Any | None:
            await made.delete(entry_id)
            return "an answer"

    payloads = Slow()
    made = await warmed(make_cache(payloads=payloads, fake=fake))
    await keep(made, payloads, 7, EGG)

    assert await reason(made, THE_EGG) == "gone"
    await made.close()


async def test_a_text_that_breaks_the_reader_is_a_miss(cache: SemanticCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.semantic.cache.why_not", lambda text, *, is_multilingual: 1 / 0)

    assert await reason(cache, EGG) == "failed"
    assert not await cache.add(cache.begin(SCOPE, EGG), 7, b"", expires_at=4e9)
    assert "ZeroDivisionError" in cache.complaint


async def test_an_entry_is_not_given_once_it_expired(
    cache: SemanticCache, payloads: DictPayloads, clock: Clock
) -> None:
    search = cache.begin(SCOPE, EGG)
    payloads.kept[7] = (SCOPE, "ten minutes")
    await cache.add(search, 7, b"", expires_at=clock.now + 60.0)
    assert isinstance(await ask(cache, THE_EGG), Found)

    clock.now += 60.0

    assert await reason(cache, THE_EGG) == "empty"
    assert len(cache.entries) == 0


async def test_an_answer_older_than_is_asked_for_is_missed(
    cache: SemanticCache, payloads: DictPayloads, clock: Clock
) -> None:
    await keep(cache, payloads, 7, EGG)
    clock.now += 61.0

    assert await reason(cache, THE_EGG, max_age_s=60.0) == "old"
    assert isinstance(await ask(cache, THE_EGG, max_age_s=61.0), Found)


async def test_an_entry_lives_no_longer_than_the_log_keeps_it(payloads: DictPayloads, clock: Clock) -> None:
    cache = await warmed(make_cache(payloads=payloads, settings=SemanticSettings(keep_days=1.0), clock=clock))
    await keep(cache, payloads, 7, EGG)
    clock.now += 86_400.0

    assert await reason(cache, THE_EGG) == "empty"
    await cache.close()


async def test_an_answer_that_has_expired_already_is_no_entry(cache: SemanticCache, clock: Clock) -> None:
    assert not await cache.add(cache.begin(SCOPE, EGG), 7, b"", expires_at=clock.now)


async def test_another_embedder_than_the_measured_one_turns_it_off(payloads: DictPayloads) -> None:
    other = FakeEmbedder(DIMENSION, identity="other@1+float32")
    cache = make_cache(payloads=payloads, fake=other)
    cache.open()

    assert await reason(cache, EGG) == "off"
    assert not await keep(cache, payloads, 7, EGG)
    assert "other@1+float32" in cache.complaint
    assert other.asked == []
    await cache.close()


async def test_an_embedder_that_nobody_measured_serves_where_the_keeper_has_no_table(payloads: DictPayloads) -> None:
    other = FakeEmbedder(DIMENSION, identity="other@1+float32")
    cache = make_cache(payloads=payloads, fake=other, keeper=BudgetKeeper(0.01, table=UNMEASURED))
    await warmed(cache)
    await keep(cache, payloads, 7, EGG)

    assert await reason(cache, THE_EGG) == "far"
    assert (await hit(cache, EGG.upper())).entry_id == 7
    assert cache.complaint == ""
    await cache.close()


async def test_a_log_that_fails_leaves_what_this_process_stores(payloads: DictPayloads) -> None:
    cache = make_cache(BrokenLog(), payloads=payloads)
    cache.open()
    assert await reason(cache, EGG) == "warming"
    await keep(cache, payloads, 7, EGG)

    assert (await hit(cache, THE_EGG)).entry_id == 7
    assert "the disk is gone" in cache.complaint
    await cache.close()


async def test_a_deleted_entry_answers_no_more(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG)

    assert await cache.delete(7)
    assert await reason(cache, THE_EGG) == "empty"
    assert payloads.kept == {}
    assert not await cache.delete(7)


async def test_a_reported_entry_is_purged_and_its_threshold_raised_at_once(payloads: DictPayloads) -> None:
    keeper = BudgetKeeper(0.01)
    cache = await warmed(make_cache(payloads=payloads, keeper=keeper))
    await keep(cache, payloads, 7, EGG)
    await hit(cache, THE_EGG)
    before = keeper.threshold(SCOPE.hex())

    assert await cache.report_wrong(7)
    assert keeper.threshold(SCOPE.hex()) > before
    assert payloads.kept == {}
    assert await reason(cache, THE_EGG) == "empty"
    await cache.close()


async def test_a_reported_pair_never_matches_again(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG)
    await hit(cache, THE_EGG)
    await cache.report_wrong(7)
    await keep(cache, payloads, 9, EGG)

    assert await reason(cache, THE_EGG) == "barred"
    assert (await hit(cache, "How long should eggs boil until it is firm enough to be peeled?")).entry_id == 9


async def test_a_report_of_an_entry_that_answered_nothing_raises_its_scope(payloads: DictPayloads) -> None:
    keeper = BudgetKeeper(0.01)
    cache = await warmed(make_cache(payloads=payloads, keeper=keeper))
    await keep(cache, payloads, 7, EGG)

    assert await cache.report_wrong(7)
    assert keeper.threshold(SCOPE.hex()) > threshold_for(0.01)
    assert keeper.threshold(OTHER.hex()) == threshold_for(0.01)
    await cache.close()


async def test_a_report_of_an_unknown_entry_changes_nothing(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG)

    assert not await cache.report_wrong(8)
    assert (await hit(cache, THE_EGG)).entry_id == 7


async def test_a_failing_payload_store_does_not_keep_an_entry_from_being_purged(
    cache: SemanticCache, payloads: DictPayloads
) -> None:
    await keep(cache, payloads, 7, EGG)
    payloads.error = ConnectionError("gone")

    assert await cache.report_wrong(7)
    payloads.error = None
    assert await reason(cache, THE_EGG) == "empty"


async def test_a_wrong_audit_bars_the_pair_and_keeps_the_entry(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG)
    found = await hit(cache, THE_EGG)

    cache.audit(found, is_right=False)

    assert await reason(cache, THE_EGG) == "barred"
    assert isinstance(await ask(cache, EGG), Found)


async def test_audits_are_counted_by_likeness_less_doubts(payloads: DictPayloads) -> None:
    keeper = BudgetKeeper(0.01)
    cache = await warmed(make_cache(payloads=payloads, keeper=keeper))
    await keep(cache, payloads, 7, EGG)
    found = await hit(cache, THE_EGG)
    for right in (True, True, False):
        cache.audit(found, is_right=right)

    measured = keeper.measured(SCOPE.hex())

    assert (measured.audits, measured.wrong) == (3, 1)
    assert found.counted == found.similarity
    await cache.close()


async def test_hits_and_misses_are_counted_for_the_budget(payloads: DictPayloads) -> None:
    keeper = BudgetKeeper(0.01)
    cache = await warmed(make_cache(payloads=payloads, keeper=keeper))
    await keep(cache, payloads, 7, EGG)
    for _ in range(149):
        await hit(cache, THE_EGG)

    assert keeper.measured().hit_rate == pytest.approx(149 / 150)
    await cache.close()


async def test_a_share_of_requests_is_audited_always_the_same(cache: SemanticCache) -> None:
    drawn = [number for number in range(20_000) if cache.wants_audit(f"request-{number}")]

    assert 140 <= len(drawn) <= 260
    assert drawn == [number for number in range(20_000) if cache.wants_audit(f"request-{number}")]


@pytest.mark.parametrize(("share", "every"), [(0.0, False), (1.0, True)])
async def test_none_or_all_may_be_audited(share: float, every: bool) -> None:  # noqa: FBT001  a parameter
    cache = make_cache(settings=SemanticSettings(audit_share=share))

    assert {cache.wants_audit(str(number)) for number in range(100)} == {every}
    await cache.close()


async def test_questions_that_are_no_valid_text_break_nothing(cache: SemanticCache, payloads: DictPayloads) -> None:
    await keep(cache, payloads, 7, EGG)

    outcome = await ask(cache, f"{EGG} \ud800 egg")

    assert isinstance(outcome, Missed | Found)


async def test_an_answer_that_waits_for_its_vector_at_the_end_is_no_entry(payloads: DictPayloads) -> None:
    cache = await warmed(make_cache(payloads=payloads, fake=SlowEmbedder()))
    adding = asyncio.create_task(keep(cache, payloads, 7, EGG))
    await asyncio.sleep(0.01)

    await cache.close()

    assert not await adding


async def test_closing_twice_is_harmless(payloads: DictPayloads) -> None:
    cache = await warmed(make_cache(payloads=payloads))
    await keep(cache, payloads, 7, EGG)

    await cache.close()
    await cache.close()


class _Spelled(FakeEmbedder):
    """Remembers its vectors, so that many look-ups take little."""

    def __init__(self) -> None:
        super().__init__(DIMENSION, identity=embedder().identity)
        self._made: dict[str, NDArray[np.float32]] = {}

    async def embed(self, texts: Sequence[str], *, budget_s: float | None = None) -> NDArray[np.float32]:
        made = self._made.get(texts[0])
        if made is None:
            made = self._made[texts[0]] = self.vector(texts[0])
        return made[np.newaxis]


class _Careless(DictPayloads):
    """Gives an answer to whoever knows its number, so that nothing but the index keeps scopes apart."""

    async def get(self, entry_id: int, scope: bytes) -> Any | None:
        return self.kept[entry_id][1] if entry_id in self.kept else None


async def test_no_look_up_of_very_many_over_random_scopes_crosses_one() -> None:
    draw = random.Random(20)  # noqa: S311  guards nothing
    payloads = _Careless()
    cache = await warmed(
        make_cache(MemoryLog(), payloads=payloads, fake=_Spelled(), settings=SemanticSettings(max_mb=1))
    )
    scopes = [draw.randbytes(32) for _ in range(300)]
    texts = [f"how {word} is {article} {thing}" for word in ("old", "tall") for article in ("the", "a", "this")
             for thing in ("tower", "bridge", "king", "river", "tree")]  # fmt: skip
    crossed = hits = 0
    for entry_id in range(LOOK_UPS):
        scope, text = draw.choice(scopes), draw.choice(texts)
        search = cache.begin(scope, text)
        found = await search.result(1.0)
        if isinstance(found, Found):
            hits += 1
            crossed += found.payload != scope.hex() or found.scope != scope
        elif draw.random() < 0.5:
            payloads.kept[entry_id] = (scope, scope.hex())
            await cache.add(search, entry_id, entry_id.to_bytes(8, "big"), expires_at=4e9)
        if entry_id % 500 == 0 and payloads.kept:
            await cache.delete(draw.choice(list(payloads.kept)))

    assert crossed == 0
    assert hits > LOOK_UPS / 10
    assert cache.entries.evicted > 0
    await cache.close()
