from __future__ import annotations

import pytest

from cache.base import Entry
from cache.sealed import UnreadableEntryError, open_entry, seal_entry
from gateway.domain.usage import NO_USAGE
from tests.support.sealed import OTHER_SEALER, SEALER

ENTRY = Entry(body=b"an answer", usage=NO_USAGE, answered_model="m", stored_at=1.0, key=b"k", tenant="team:a")


def test_an_entry_opens_in_its_place() -> None:
    assert open_entry(SEALER, seal_entry(SEALER, ENTRY, place=b"1"), place=b"1") == ENTRY


def test_nothing_of_it_shows() -> None:
    assert b"answer" not in seal_entry(SEALER, ENTRY, place=b"1")


def test_an_entry_does_not_open_in_another_place() -> None:
    with pytest.raises(UnreadableEntryError):
        open_entry(SEALER, seal_entry(SEALER, ENTRY, place=b"1"), place=b"2")


def test_an_entry_does_not_open_with_another_key() -> None:
    with pytest.raises(UnreadableEntryError):
        open_entry(OTHER_SEALER, seal_entry(SEALER, ENTRY, place=b"1"), place=b"1")


def test_what_another_version_has_packed_is_no_entry() -> None:
    with pytest.raises(UnreadableEntryError):
        open_entry(SEALER, SEALER.seal(b"\xc1", about=b"1"), place=b"1")
