"""What keys begin with."""

from __future__ import annotations

import pytest

from gateway.redis.slot import slot_key


def test_the_organisation_stands_in_the_hash_tag() -> None:
    assert slot_key("acme") == "tierway:{acme}:"


@pytest.mark.parametrize("organisation", ["", "a{b", "a}b"])
def test_an_organisation_that_would_leave_its_slot_is_refused(organisation: str) -> None:
    with pytest.raises(ValueError, match="no name of an organisation"):
        slot_key(organisation)
