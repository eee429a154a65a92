"""The stores that a state opens for a cache, and what tests keep in them."""

from __future__ import annotations

from typing import Final

from cache.base import Backend, Entry
from cache.semantic.events import Stored
from cache.semantic.logs.base import EntryLog
from gateway.domain.secret import Secret
from gateway.domain.usage import NO_USAGE
from gateway.state.base import State, StateSettings
from gateway.state.opening import open_state

KEY: Final = Secret("a key that is as long as it has to be")
PROMPT: Final = b"how long is the river of the northern country"
ANSWER: Final = b"the river is as long as two hundred days of walking"


def open_kept(
    address: str, key: Secret = KEY, earlier: tuple[Secret, ...] = (), max_bytes: int = 2**26
) -> tuple[State, Backend, EntryLog]:
    """Open a state and what it has for a cache; all of it is closed by the caller, the state last."""
    state = open_state(
        StateSettings(
            address=address,
            organisation="acme",
            on_expiry="charge",
            encryption_key=key,
            earlier_keys=earlier,
            ledger_days=None,
        )
    )
    answers, entry_log = state.cached.open_answers(max_bytes), state.cached.open_entry_log()
    assert answers is not None
    assert entry_log is not None
    return state, answers, entry_log


def entry_of(number: int) -> Entry:
    """Return the answer of a number."""
    return Entry(
        body=b"%d: %b" % (number, ANSWER),
        usage=NO_USAGE,
        answered_model="m",
        stored_at=1.0,
        key=b"the key of the request",
        tenant="team:acme/search",
    )


def event_of(number: int) -> Stored:
    """Return what the log tells of the entry of a number, with the prompt itself for its reading."""
    return Stored(b"scope", number, b"model", bytes(64), PROMPT, b"digest", 1000.0, 2e10)
