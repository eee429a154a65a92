# ruff: noqa: RUF001  signs that look like others are meant
from __future__ import annotations

import pytest

from router.scoring.language import language_of
from router.scoring.prompt import Prompt
from router.scoring.scorer import Scorer

SCORER = Scorer()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of Peru?", "en"),
        ("hi", "en"),
        ("Wie heißt die Hauptstadt von Peru?", "de"),
        ("Quelle est la capitale du Pérou ?", "fr"),
        ("¿Cuál es la capital de Perú?", "es"),
        ("Qual è la capitale del Perù?", "it"),
        ("Qual é a capital do Peru e como você chega lá?", "pt"),
        ("Wat is de hoofdstad van Peru?", "nl"),
        ("Какая столица Перу?", "ru"),
        ("秘鲁的首都是哪里？", "zh"),
        ("ペルーの首都はどこですか", "ja"),
        ("페루의 수도는 어디입니까?", "ko"),
        ("ما هي عاصمة بيرو؟", "ar"),
        ("qzx wvu tsr ponm lkj hgf", "xx"),
        ("", "xx"),
    ],
)
def test_language_of_a_question(text: str, language: str) -> None:
    assert SCORER.assess(Prompt(text)).language == language


def test_a_few_foreign_letters_are_no_script() -> None:
    assert (
        language_of("explain the word логос in greek philosophy please, and where it is from", has_english=True) == "en"
    )
