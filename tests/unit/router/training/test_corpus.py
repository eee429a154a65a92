from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from router.training.corpus import Corpus, read_corpus, stem_of

ROWS = [
    {"prompt": "Which gas?\nA. Neon\nB. Iron\nAnswer:", "dataset": "mmlu", "weak": 1.0, "strong": 1.0},
    {
        "prompt": "Which gas?\nA. Neon\nB. Zinc\nC. Tin\nAnswer:",
        "dataset": "mmlu_pro",
        "weak": 0,
        "mid": 1,
        "strong": 1,
    },
    {"prompt": "Tom has 3 apples.", "dataset": "gsm8k", "weak": 0.0, "strong": 1.0},
    {"prompt": "Write a poem.", "dataset": "alpaca_eval", "weak": 0.1, "strong": 0.5},
]


@pytest.fixture(params=["questions.jsonl", "questions.jsonl.gz"])
def corpus(tmp_path: Path, request: pytest.FixtureRequest) -> Corpus:
    path = tmp_path / str(request.param)
    raw = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return read_corpus(path)


def test_questions_are_read(corpus: Corpus) -> None:
    assert corpus.prompts == [row["prompt"] for row in ROWS]
    assert corpus.gain.tolist() == pytest.approx([0, 1, 1, 0.4])
    assert corpus.mid[1] == 1
    assert corpus.mid[0] != corpus.mid[0]


def test_datasets_that_share_questions_are_one_family(corpus: Corpus) -> None:
    assert corpus.families[0] == corpus.families[1] != corpus.families[2]


def test_what_may_not_be_shipped_may_not_be_fitted(corpus: Corpus) -> None:
    assert corpus.may_be_fitted.tolist() == [True, True, True, False]


def test_questions_with_the_same_stem_share_a_fold(corpus: Corpus) -> None:
    for seed in range(20):
        folds = corpus.folds(5, seed)
        assert folds[0] == folds[1]


def test_folds_are_the_same_each_time(corpus: Corpus) -> None:
    assert corpus.folds(5, 3).tolist() == corpus.folds(5, 3).tolist()


def test_the_opening_of_a_long_passage_is_its_stem() -> None:
    passage = "The council met. " * 60

    assert stem_of(f"{passage} Who won?\nA. x\nB. y") == stem_of(f"{passage} Who lost?\nA. z\nB. w")


def test_two_long_texts_without_options_are_apart() -> None:
    code = "You are given a function. " * 40

    assert stem_of(code + "def f(x)") != stem_of(code + "def g(x)")
