from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training needs scikit-learn, serving does not")

from router.scoring.artefact import dump, load
from router.scoring.model import Model
from router.scoring.scorer import judge
from router.training.corpus import Corpus
from router.training.fitting import Evidence, fit_chances, fit_weights, gather, judged, learned

GASES = ("neon", "argon", "xenon", "radon")
METALS = ("iron", "zinc", "gold", "lead")


def made(dataset: str = "mmlu") -> Corpus:
    """Return questions about metals, at which the cheap model fails, and about gases, at which it does not."""
    count = 240
    stems = [f"Question {at}: which {'metal' if at % 2 else 'gas'} is it?" for at in range(count)]
    options = "\n".join(f"{letter}. {one} or {two}" for letter, one, two in zip("ABCD", GASES, METALS, strict=True))
    hard = np.arange(count) % 2 == 1
    return Corpus(
        prompts=[f"{stem}\n{options}\nAnswer:" for stem in stems],
        datasets=np.array([dataset] * count),
        families=np.zeros(count, np.int64),
        groups=np.arange(count),
        weak=np.where(hard, 0.0, 1.0),
        mid=np.where(np.arange(count) % 4 == 1, 0.0, 1.0),
        strong=np.ones(count),
    )


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return made()


@pytest.fixture(scope="module")
def evidence(corpus: Corpus) -> Evidence:
    return gather(corpus.prompts)


def everything(corpus: Corpus) -> np.ndarray:
    return np.ones(len(corpus.prompts), np.bool_)


def test_words_of_hard_questions_gain_weight(corpus: Corpus, evidence: Evidence) -> None:
    model = Model(fit_weights(corpus, evidence, everything(corpus)))

    metal, gas = (judge(model, prompt)[1] for prompt in (corpus.prompts[1], corpus.prompts[2]))

    assert metal.gain > gas.gain + 0.2
    assert metal.fails > gas.fails


def test_fitting_and_serving_add_the_same(corpus: Corpus, evidence: Evidence) -> None:
    artefact = fit_weights(corpus, evidence, everything(corpus))
    model = Model(artefact)

    fitted = judged(evidence, learned(evidence, artefact))

    served = [judge(model, prompt)[1].gain for prompt in corpus.prompts[:20]]
    assert served == pytest.approx([one.gain for one in fitted[:20]], abs=1e-4)


def test_what_is_stored_scores_as_what_was_fitted(corpus: Corpus, evidence: Evidence) -> None:
    artefact = fit_weights(corpus, evidence, everything(corpus))
    fitted, stored = Model(artefact), Model(load(dump(artefact)))

    for prompt in corpus.prompts[:20]:
        assert judge(stored, prompt)[1].gain == pytest.approx(judge(fitted, prompt)[1].gain, abs=0.01)


def test_a_fit_gives_the_same_bytes_each_time(corpus: Corpus, evidence: Evidence) -> None:
    first, second = (dump(fit_weights(corpus, evidence, everything(corpus))) for _ in range(2))

    assert first == second


def test_nothing_is_learned_from_what_may_not_be_fitted(evidence: Evidence) -> None:
    forbidden = made("alpaca_eval")

    artefact = fit_weights(forbidden, evidence, everything(forbidden))

    assert not artefact.weights[:, :-1].any()


def test_a_text_without_known_words_stays_where_it_was(corpus: Corpus, evidence: Evidence) -> None:
    model = Model(fit_weights(corpus, evidence, everything(corpus)))

    found = judge(model, "Wxyz qrst?\nA. bcdf\nB. ghjk")[1]

    assert found.gain == pytest.approx(found.expected, abs=0.05)


def test_chances_follow_what_happened(corpus: Corpus, evidence: Evidence) -> None:
    artefact = fit_weights(corpus, evidence, everything(corpus))
    judgements = judged(evidence, learned(evidence, artefact))

    chances = fit_chances(corpus, judgements, everything(corpus))

    artefact = type(artefact)(artefact.weights, chances, artefact.reference)
    model = Model(artefact)
    hard, light = (model.chances_of(judgements[at], judgements[at].gain) for at in (1, 2))
    assert hard[0] > 0.6
    assert light[0] < 0.4
    assert hard[1] <= hard[0]
