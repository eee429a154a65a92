from __future__ import annotations

from router.scoring.artefact import load
from router.scoring.prompt import Prompt
from router.scoring.scorer import Scorer
from router.training.ordinary import ORDINARY


def test_ordinary_requests_are_of_many_kinds() -> None:
    scorer = Scorer()

    assert len({scorer.assess(Prompt(text)).kind for text in ORDINARY}) >= 10


def test_ordinary_requests_fall_into_every_tier_of_the_reference() -> None:
    scorer, scores = Scorer(), load().reference[:, 0]

    ranks = [float((scores < scorer.assess(Prompt(text)).score).mean()) for text in ORDINARY]

    assert min(ranks) < 0.5
    assert max(ranks) > 0.8
