"""Number words, ordinals, months, weekdays and units."""

from __future__ import annotations

from typing import Final

from cache.verifier.lexicon.notation import words

_SMALL: Final = words(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen
    """
)
_TENS: Final = words("twenty thirty forty fifty sixty seventy eighty ninety")

NUMBER_WORDS: Final = {
    **{name: str(value) for value, name in enumerate(_SMALL) if name != "one"},
    **{name: str(10 * value) for value, name in enumerate(_TENS, start=2)},
    "hundred": "100", "hundreds": "100", "thousand": "1000", "thousands": "1000", "lakh": "100000", "lakhs": "100000",
    "million": "1000000", "millions": "1000000", "crore": "10000000", "crores": "10000000", "billion": "1000000000",
    "billions": "1000000000", "trillion": "1000000000000", "dozen": "12", "twice": "2", "thrice": "3", "half": "0.5",
    "triple": "3", "quadruple": "4",
}  # fmt: skip
"""Number words and their values as decimal text. One is absent: it is a pronoun more often than a number."""

SCALES: Final = frozenset(
    ["100", "1000", "100000", "1000000", "10000000", "1000000000", "1000000000000"],
)
"""Values of words that multiply the number before them."""

SUFFIX_SCALES: Final = {"k": 1000, "m": 1_000_000, "b": 1_000_000_000}
"""Letters that multiply the digits they follow, as in 20k."""

_ORDINALS: Final = words(
    """
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth
    """
)

ORDINAL_WORDS: Final = {
    **{name: str(value) for value, name in enumerate(_ORDINALS, start=1)},
    "twentieth": "20", "thirtieth": "30", "fortieth": "40", "fiftieth": "50", "hundredth": "100", "thousandth": "1000",
    "penultimate": "-2",
}  # fmt: skip
"""Words for a place in an order."""

_MONTHS: Final = words("january february march april may june july august september october november december")

MONTHS: Final = {
    **{name: f"m{value}" for value, name in enumerate(_MONTHS, start=1)},
    **{name[:3]: f"m{value}" for value, name in enumerate(_MONTHS, start=1)},
    "sept": "m9",
}
"""Months and their short forms, m1 to m12."""

UNSURE_MONTHS: Final = frozenset(["may", "march", "mar", "jan", "dec", "sep", "jun"])
"""Months that also are other words: they count beside a number or with a capital inside a sentence."""

_WEEKDAYS: Final = words("monday tuesday wednesday thursday friday saturday sunday")

WEEKDAYS: Final = {
    **{name: f"d{value}" for value, name in enumerate(_WEEKDAYS, start=1)},
    **{name + "s": f"d{value}" for value, name in enumerate(_WEEKDAYS, start=1)},
}
"""Days of the week, d1 to d7 from Monday."""

RELATIVE_DAYS: Final = {name: name for name in ("today", "tomorrow", "yesterday", "tonight")}
"""Days that depend on when they are said."""

_UNITS: Final = """
mm=millimeter=millimeters=millimetre=millimetres cm=centimeter=centimeters=centimetre=centimetres
metre=meter=meters=metres=mtr km=kms=kilometer=kilometers=kilometre=kilometres inch=inches foot=feet=ft yard=yards
mile=miles mg=milligram=milligrams gram=grams=gm=gms kg=kgs=kilo=kilos=kilogram=kilograms pound=pounds=lb=lbs
ounce=ounces=oz ton=tons=tonne=tonnes ml=milliliter=milliliters=millilitre litre=liter=liters=litres gallon=gallons
ms=millisecond=milliseconds second=seconds=sec=secs minute=minutes=min=mins hour=hours=hr=hrs day=days week=weeks
month=months year=years=yr=yrs decade=decades century=centuries byte=bytes kb=kilobyte=kilobytes=kib
mb=megabyte=megabytes=mib gb=gigabyte=gigabytes=gib tb=terabyte=terabytes=tib bit=bits kbps mbps gbps hz=hertz khz
mhz ghz watt=watts kw=kilowatt=kilowatts mw=megawatt volt=volts=v amp=amps=ampere=amperes celsius=°c fahrenheit=°f
kelvin degree=degrees percent=%=percentage dollar=dollars=usd=$ euro=euros=eur=€ pound-sterling=gbp=£
rupee=rupees=rs=inr=₹ yen=jpy=¥ cent=cents acre=acres hectare=hectares mph kmph=kph joule=joules
calorie=calories=kcal lakh=lakhs crore=crores
"""

UNITS: Final = {same: unit.split("=")[0] for unit in words(_UNITS) for same in unit.split("=")}
"""Units and the name that stands for each."""

ROMAN: Final = {
    "II": "2", "III": "3", "IV": "4", "VI": "6", "VII": "7", "VIII": "8", "IX": "9", "XI": "11", "XII": "12",
    "XIII": "13", "XIV": "14", "XV": "15", "XVI": "16", "XX": "20", "XXI": "21",
}  # fmt: skip
"""Roman numerals that are no words; I, V, X and the like are left out."""
