"""Recognises national identity, tax and insurance numbers by form, check digits and the words before them."""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import Any, Final, NamedTuple

from policies.sanitise.personal.contexts import compile_words, stands_before


class NationalId(NamedTuple):
    """One country's number.

    Attributes:
        rule: name of the rule.
        module: of `stdnum`, which knows the check digits; empty where the form is all there is.
        form: how it is written.
        words: what must stand before it; None where form and check digits suffice.
        anchor: what the engine looks for: the end of the form, from its first digits on.
    """

    rule: str
    module: str
    form: re.Pattern[str]
    words: re.Pattern[str] | None
    anchor: str = ""


_REACH: Final = 56


def _id(rule: str, module: str, form: str, words: str = "", anchor: str = "") -> NationalId:
    return NationalId(rule, module, re.compile(form), compile_words(words) if words else None, anchor)


_NUMERIC: Final[tuple[tuple[tuple[int, ...], NationalId], ...]] = (
    ((9,), _id("us_ssn", "", r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")),
    (
        (9,),
        _id(
            "us_ssn",
            "",
            r"(?!000|666|9)\d{3} ?(?!00)\d{2} ?(?!0000)\d{4}",
            "ssn social_security social_security_number",
        ),
    ),
    ((9,), _id("us_itin", "us.itin", r"9\d\d-?\d\d-?\d{4}", "itin taxpayer tax")),
    ((11,), _id("br_cpf", "br.cpf", r"\d{3}\.\d{3}\.\d{3}-\d\d")),
    ((11,), _id("br_cpf", "br.cpf", r"\d{11}", "cpf")),
    ((13,), _id("ch_ahv", "ch.ssn", r"756\.?\d{4}\.?\d{4}\.?\d\d")),
    (
        (15,),
        _id(
            "fr_nir",
            "fr.nir",
            r"[1-478] ?\d\d ?\d\d ?\d\d ?\d{3} ?\d{3} ?\d\d",
            "nir sécurité_sociale securite_sociale social*",
        ),
    ),
    ((13,), _id("kr_rrn", "kr.rrn", r"\d{6}-\d{7}")),
    ((10,), _id("gb_nhs", "gb.nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", "nhs")),
    ((10,), _id("gb_utr", "gb.utr", r"\d{10}", "utr taxpayer")),
    ((9,), _id("ca_sin", "ca.sin", r"\d{3}[- ]?\d{3}[- ]?\d{3}", "sin social_insurance")),
    ((8, 9), _id("au_tfn", "au.tfn", r"\d{3} ?\d{3} ?\d{2,3}", "tfn tax_file")),
    ((11,), _id("de_idnr", "de.idnr", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", "steuer* idnr tin")),
    ((9,), _id("nl_bsn", "nl.bsn", r"\d{4}\.?\d{2}\.?\d{3}", "bsn burgerservicenummer sofinummer")),
    (
        (11,),
        _id("be_nn", "be.nn", r"\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?\d{2}", "rijksregister* registre national insz niss"),
    ),
    ((11,), _id("pl_pesel", "pl.pesel", r"\d{11}", "pesel")),
    (
        (10, 12),
        _id("se_personnummer", "se.personnummer", r"(?:19|20)?\d{6}[-+]?\d{4}", "personnummer personal_identity"),
    ),
    ((11,), _id("no_fodselsnummer", "no.fodselsnummer", r"\d{6} ?\d{5}", "fødselsnummer fodselsnummer personnummer")),
    ((10,), _id("dk_cpr", "dk.cpr", r"\d{6}-?\d{4}", "cpr")),
    ((12,), _id("in_aadhaar", "in_.aadhaar", r"\d{4} ?\d{4} ?\d{4}", "aadhaar aadhar uidai")),
    ((18,), _id("cn_ric", "cn.ric", r"\d{18}", "身份证 identity id_card resident*")),
    ((13,), _id("za_id", "za.idnr", r"\d{13}", "id_number identity rsa")),
    ((11,), _id("tr_tckimlik", "tr.tckimlik", r"\d{11}", "kimlik tckn tc_kimlik")),
    ((13,), _id("ro_cnp", "ro.cnp", r"\d{13}", "cnp")),
    ((10,), _id("bg_egn", "bg.egn", r"\d{10}", "egn егн")),
    ((11,), _id("hr_oib", "hr.oib", r"\d{11}", "oib")),
    ((9,), _id("il_id", "il.idnr", r"\d{9}", "teudat zehut identity")),
    ((9, 10), _id("cz_rc", "cz.rc", r"\d{6}/?\d{3,4}", "rodné rodne rč")),
    ((9,), _id("pt_nif", "pt.nif", r"\d{3} ?\d{3} ?\d{3}", "nif contribuinte")),
)
"""Digits and the number."""

LETTERED: Final = (
    _id(
        "it_codice_fiscale",
        "it.codicefiscale",
        r"[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z]",
        anchor=r"[0-9]{2}[A-EHLMPR-T][0-9]{2}[A-Z][0-9]{3}[A-Z]",
    ),
    _id("mx_curp", "mx.curp", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d", anchor=r"[0-9]{6}[HM][A-Z]{5}[0-9A-Z][0-9]"),
    _id("fi_hetu", "fi.hetu", r"\d{6}[-+A]\d{3}[0-9A-Y]", anchor=r"[0-9]{6}[-+A][0-9]{3}[0-9A-Y]"),
    _id("es_dni", "es.dni", r"\d{8}-?[A-Z]", "dni nif identidad", anchor=r"[0-9]{8}-?[A-Z]"),
    _id("es_nie", "es.nie", r"[XYZ]-?\d{7}-?[A-Z]", anchor=r"[XYZ]-?[0-9]{7}-?[A-Z]"),
    _id("in_pan", "in_.pan", r"[A-Z]{5}\d{4}[A-Z]", "pan permanent_account", anchor=r"[A-Z][0-9]{4}[A-Z]"),
    _id(
        "gb_nino",
        "",
        r"[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]",
        "ni nino national_insurance insurance",
        anchor=r"[0-9] ?[0-9]{2} ?[0-9]{2} ?[A-D]",
    ),
    _id("cl_rut", "cl.rut", r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", anchor=r"[0-9]\.[0-9]{3}\.[0-9]{3}-[0-9kK]"),
)
"""Each has an anchor of its own: its form."""


def _by_length() -> dict[int, tuple[NationalId, ...]]:
    lengths = {length for lengths, _ in _NUMERIC for length in lengths}
    return {length: tuple(each for lengths, each in _NUMERIC if length in lengths) for length in lengths}


NUMERIC: Final = _by_length()
"""Numbers of that many digits, in the order they are tried."""


def find_numeric(text: str, place: tuple[int, int], digits: int) -> str | None:
    """Return the rule that a number of so many digits satisfies, None if none."""
    candidates = NUMERIC.get(digits, ())
    written = text[place[0] : place[1]] if candidates else ""
    for each in candidates:
        if each.form.fullmatch(written) is not None and _is_confirmed(each, text, place[0], written):
            return each.rule
    return None


def find_lettered(each: NationalId, text: str, end: int) -> tuple[int, int] | None:
    """Return where an id of this form stands whose anchor ended at `end`."""
    for match in each.form.finditer(text, max(0, end - 20), end):
        is_apart = not text[end : end + 1].isalnum() and not text[match.start() - 1 : match.start()].isalnum()
        if match.end() == end and is_apart and _is_confirmed(each, text, match.start(), match.group()):
            return match.span()
    return None


def _is_confirmed(each: NationalId, text: str, start: int, written: str) -> bool:
    if each.words is not None and not stands_before(each.words, text, start, _REACH):
        return False
    return not each.module or bool(_module(each.module).is_valid(written))


@cache
def _module(name: str) -> Any:
    return importlib.import_module(f"stdnum.{name}")
