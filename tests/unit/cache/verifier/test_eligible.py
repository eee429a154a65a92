from __future__ import annotations

import pytest

from cache.verifier.eligible import MOST_TOKENS, why_not


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("What is the news today?", "volatile"),
        ("Who is currently the mayor of Lima?", "volatile"),
        ("the latest version of the compiler", "volatile"),
        ("Will it rain this weekend?", "volatile"),
        ("Where is my order?", "personal"),
        ("Why was my last payment declined?", "personal"),
        ("What is 12 * 7?", "arithmetic"),
        ("What is 12 plus 7?", "arithmetic"),
        ("What is 9 - 5?", "arithmetic"),
        ("```\nprint(1)\n```", "code"),
        ("why does this fail?\ndef f(x):\n  return x", "code"),
        ("Какая столица Перу?", "script"),
        ("秘鲁的首都是哪里", "script"),
        ("Was ist die Hauptstadt von Peru?", "language"),
        ("¿Cuál es la capital del Perú?", "language"),
        ("a" * (4 * MOST_TOKENS + 1), "long"),
    ],
)
def test_prompts_that_likeness_cannot_answer_are_told_apart(text: str, reason: str) -> None:
    assert why_not(text, is_multilingual=False) == reason


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of Peru?",
        "How do I open a savings account?",
        "Who was the mayor in 2019 as of today?",
        "a café in Zürich",
        "explain form 800-123",
        "Beyoncé and Jay-Z",
        "python list comprehension",
        "",
    ],
)
def test_other_prompts_are_eligible(text: str) -> None:
    assert why_not(text, is_multilingual=False) is None


@pytest.mark.parametrize("text", ["Какая столица Перу?", "Was ist die Hauptstadt von Peru?"])
def test_a_multilingual_embedder_reads_every_language(text: str) -> None:
    assert why_not(text, is_multilingual=True) is None
