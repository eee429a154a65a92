from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.secret import Secret
from gateway.telemetry.digest import Digester

KEY = Secret("an-encryption-key-0123456789")
DIGESTER = Digester(KEY, "acme")


def said(content: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": content}


def test_same_text_has_the_same_hash() -> None:
    assert DIGESTER.of_text("a secret plan") == Digester(KEY, "acme").of_text("a secret plan")


@pytest.mark.parametrize("other", [Digester(KEY, "other"), Digester(Secret("another-key-0123456789"), "acme")])
def test_other_organisations_and_keys_have_other_hashes(other: Digester) -> None:
    assert other.of_text("a secret plan").hash != DIGESTER.of_text("a secret plan").hash


def test_hashes_without_a_key_are_those_of_one_process() -> None:
    one, another = Digester(None, "acme"), Digester(None, "acme")

    assert one.of_text("a").hash == one.of_text("a").hash
    assert one.of_text("a").hash != another.of_text("a").hash


def test_placeholders_count_without_the_part_that_is_drawn() -> None:
    first, second = (DIGESTER.of_text(f"Write to [[EMAIL_1_{drawn}]]").hash for drawn in ("k7q2x", "abcde"))

    assert first == second
    assert first != DIGESTER.of_text("Write to [[EMAIL_2_k7q2x]]").hash


def test_digest_is_of_the_last_message_with_text() -> None:
    messages = [
        said("first"),
        said("the last"),
        said([{"type": "image_url", "image_url": {}}]),
        said(None, "assistant"),
    ]

    assert DIGESTER.of(messages) == DIGESTER.of_text("the last")


def test_parts_count_together() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "image_url"}, {"type": "text", "text": "two"}]

    assert DIGESTER.of([said(parts)]) == DIGESTER.of_text("one\ntwo")


@pytest.mark.parametrize("messages", [[], [said("")], [said(None)], [said([])], [said([{"text": 1}])]])
def test_nothing_is_told_where_nothing_is_said(messages: Any) -> None:
    assert DIGESTER.of(messages) is None


def test_digest_holds_no_part_of_the_text() -> None:
    digest = DIGESTER.of_text("marker")

    assert "marker" not in repr(digest)
    assert digest.characters == 6
    assert len(digest.hash) == 16


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("What is the capital of France?", "text"),
        ("Dear all,\n\nplease find the notes below.\nBest", "text"),
        ('{"a": [1, 2]}', "json"),
        (" [1, 2]\n", "json"),
        ("Why does this fail?\n```\nx\n```", "code"),
        ("def f(x):\n    return x + 1", "code"),
        ("int main() {\n  return 0;\n}", "code"),
        ("a; b", "text"),
    ],
)
def test_form_is_told(text: str, form: str) -> None:
    assert DIGESTER.of_text(text).form == form


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Hello", "latin"),
        ("Gr\u00fc\u00dfe", "latin"),
        ("\u041f\u0440\u0438\u0432\u0435\u0442, GPT", "cyrillic"),
        ("\u4f60\u597d\u4e16\u754c", "cjk"),
        ("\u0645\u0631\u062d\u0628\u0627", "arabic"),
        ("123 \U0001f600", "none"),
        ("42", "none"),
        ("\ud800", "none"),
    ],
)
def test_script_is_told(text: str, script: str) -> None:
    assert DIGESTER.of_text(text).script == script


def test_long_text_is_hashed_by_its_beginning_and_told_in_full_length() -> None:
    one, other = DIGESTER.of_text("x" * 400_000 + "a"), DIGESTER.of_text("x" * 400_000 + "b")

    assert one.hash == other.hash
    assert one.characters == 400_001
