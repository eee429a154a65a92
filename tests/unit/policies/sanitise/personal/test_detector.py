from __future__ import annotations

import pytest

from policies.sanitise.scan import scan_text


def found(text: str) -> list[tuple[str, str]]:
    return [(finding.rule, text[finding.start : finding.end]) for finding in scan_text(text, {"personal"})]


@pytest.mark.parametrize(
    ("rule", "before", "value", "after"),
    [
        ("email", "write to ", "ann.lee+news@mail.firm.co.uk", "."),
        ("email", "<mailto:", "o'neil@firm.org", ">"),
        ("phone", "", "+44 20 7946 0958", ""),
        ("phone", "call ", "(212) 555-0143", " now"),
        ("phone", "", "212-555-0143", " is his"),
        ("phone", "Tel.: ", "089 / 1234567", ""),
        ("phone", "my mobile is ", "0171 2345678", ""),
        ("phone", "Fax: ", "463-612-6138x036", ""),
        ("phone", "", "+41 (0)44 668 18 00", "\n"),
        ("card", "my card is ", "378282246310005", ""),
        ("card", "", "4111 1111 1111 1111", " please"),
        ("iban", "to ", "DE89 3704 0044 0532 0130 00", " today"),
        ("iban", "", "GB82WEST12345698765432", "."),
        ("us_ssn", "SSN ", "536-22-8713", ""),
        ("us_ssn", "social security number: ", "536228713", ""),
        ("ip", "from ", "81.2.69.142", ":443"),
        ("ip", "from ", "2a02:898:0:20:0:0:0:1", " on"),
        ("ip", "IP address ", "10.20.30.40", ""),
        ("mac", "at ", "3c:22:fb:1a:2b:4d", " now"),
        ("wallet", "send to ", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", ""),
        ("wallet", "send to ", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", ""),
        ("wallet", "send to ", "0x52908400098527886e0f7030069857d2e4169ee7", ""),
        ("br_cpf", "", "390.533.447-05", ""),
        ("pl_pesel", "PESEL ", "44051401359", ""),
        ("nl_bsn", "BSN: ", "111222333", ""),
        ("it_codice_fiscale", "", "RSSMRA85T10A562S", ""),
        ("es_dni", "DNI ", "54362315K", ""),
        ("gb_nino", "NI number ", "AB 12 34 56 C", ""),
        ("ch_ahv", "", "756.9217.0769.85", ""),
        ("in_aadhaar", "Aadhaar ", "2341 2341 2346", ""),
    ],
)
def test_personal_data_is_found_exactly(rule: str, before: str, value: str, after: str) -> None:
    assert found(before + value + after) == [(rule, value)]


@pytest.mark.parametrize(
    "text",
    [
        '"created":1723323084,"model"',
        "at 1723323084123 ms",
        "2024-05-13 10:11:12 and 20240513101112",
        "version 10.0.19041.1, v1.77.5-stable, ==4.35.2.1",
        "C:\\Python-3.4.2.4\\lib",
        "order 415-555-2671, ticket 20230599123",
        "http://127.0.0.1:8000 0.0.0.0 192.168.1.10 ::1 fe80::1",
        "arn:aws:iam::123456789012:role/x",
        "commit 922b71a2ecea88e72d1c883a84d2f6d836f94c72",
        "3f2b8c1e-77aa-4c1d-9e2f-0a1b2c3d4e5f",
        "4111111111111112 is no card",
        "4111111111111111 rows were read",
        "DE88 3704 0044 0532 0130 00",
        "git@github.com:a/b.git and icon@2x.png",
        "1 2 3 4 5 6 7 8 9 10",
        "70.9 / 68 / 97.3 / 99.44 / 99.81",
        "000-12-3456 and 666-12-3456 and 123-00-4567",
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyU",
        "time 12:34:56:78",
        "reached 1250000 users, called 1723323084 times",
        "It costs 1,234,567.89 or 100 20 3000",
    ],
)
def test_numbers_that_name_nobody_are_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_number_followed_by_a_word_for_telephones_is_one() -> None:
    assert found("780 6326 office") == [("phone", "780 6326")]


def test_two_numbers_in_a_row_are_both_found() -> None:
    text = "phone 416 60 039, fax 930.167.3943"

    assert [value for _, value in found(text)] == ["416 60 039", "930.167.3943"]
