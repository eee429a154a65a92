from __future__ import annotations

import pytest

from gateway.domain.tier import TIERS, TierName
from router.base import Choice, Question
from router.learned import Learned
from router.settings import RouterSettings
from router.strategies.fixed import Fixed
from tests.support.build import chat_request


@pytest.mark.parametrize("tier", TIERS)
def test_the_default_tier_is_chosen_whatever_is_asked(tier: TierName) -> None:
    settings = RouterSettings(default_tier=tier)
    strategy = Fixed(settings, Learned(settings, ()), {})

    assert strategy.choose(Question(chat_request("Hi"))) == Choice(tier, 1.0, "fixed")
    assert strategy.choose(Question(chat_request("Prove it. " * 1000))) == Choice(tier, 1.0, "fixed")
