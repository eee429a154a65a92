"""The rules and doubts there are: a new one is a class and a name here.

Rules stand in the order in which they are asked, the cheap and often refusing first.
"""

from __future__ import annotations

from typing import Final

from cache.verifier.base import Doubt, Rule
from cache.verifier.doubts import Addition, Instruction
from cache.verifier.rules.form import Degrees, Kind, Quantifiers, WhWords, WordOrder
from cache.verifier.rules.polarity import Antonyms, Negation
from cache.verifier.rules.quantity import Dates, Numbers, Ordinals, Units
from cache.verifier.rules.reference import Contrasts, Literals, Names, Places, Remarks

RULES: Final[tuple[Rule, ...]] = (
    Numbers(),
    Dates(),
    Ordinals(),
    Negation(),
    WhWords(),
    Kind(),
    Degrees(),
    Quantifiers(),
    Units(),
    Contrasts(),
    Names(),
    Literals(),
    Antonyms(),
    WordOrder(),
    Remarks(),
    Places(),
)

DOUBTS: Final[tuple[Doubt, ...]] = (Instruction(), Addition())
