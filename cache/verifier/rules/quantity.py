"""Rules about how many, how much and when."""

from __future__ import annotations

from typing import ClassVar

from cache.verifier.reading import Reading


class Numbers:
    """Refuses unless both name the same numbers equally often, in digits or words."""

    name: ClassVar = "numbers"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether the numbers differ."""
        return a.numbers != b.numbers


class Ordinals:
    """Refuses unless both name the same places in an order: second is not third, nor is it absent."""

    name: ClassVar = "ordinals"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether the ordinals differ."""
        return a.ordinals != b.ordinals


class Dates:
    """Refuses unless both name the same months, weekdays and relative days."""

    name: ClassVar = "dates"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether the dates differ."""
        return a.dates != b.dates


class Units:
    """Refuses when one number is given in two units, or each text names a unit that the other lacks."""

    name: ClassVar = "units"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether the units differ."""
        if a.measures and b.measures and a.measures != b.measures:
            return True
        return bool(a.units - b.units) and bool(b.units - a.units)
