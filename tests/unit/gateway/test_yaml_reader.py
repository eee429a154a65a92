from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.yaml_reader import YamlError, read_yaml

ROOT = Path(__file__).parents[3]

SCALARS = """
whole: 12
octal: 0o14
hexadecimal: 0x1f
number: 2.5
exponent: 1.0e3
text_of_a_number: "12"
single: '1'
yes_: yes
no_: off
nothing: ~
empty:
day: 2026-11-20
moment: 2026-11-20T10:00:00Z
folded: >
  one
  two
literal: |
  one
  two
"""
NESTED = "a: {b: [1, {c: d}, [e]], f: {}}\nlist:\n  - {name: x}\n  - y\n"
ANCHORS = "a: &x {b: [1]}\nc: *x\nd: &y 5\ne: *y\n"
RARE = "base: &x {b: 1}\nmerged: {<<: *x, d: 2}\ntagged: !!str 1\n"


@pytest.mark.parametrize("text", [SCALARS, NESTED, ANCHORS, RARE, "", "- 1\n- 2\n", "just text"])
def test_a_document_reads_as_the_safe_loader_has_it(text: str) -> None:
    assert read_yaml(text.encode()) == yaml.safe_load(text)


@pytest.mark.parametrize("path", [*ROOT.glob("bench/*.yaml"), *ROOT.glob("examples/**/*.yaml")], ids=lambda p: p.name)
def test_shipped_files_read_as_the_safe_loader_has_them(path: Path) -> None:
    assert read_yaml(path.read_bytes()) == yaml.safe_load(path.read_text())


def test_a_plain_document_is_built_without_composing_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("the library's own way was taken")

    monkeypatch.setattr(yaml, "load", fail)

    assert read_yaml((SCALARS + NESTED).encode())["day"] == dt.date(2026, 11, 20)


def test_a_key_that_looks_like_a_number_is_a_word() -> None:
    assert read_yaml(b"{1: a, true: b}") == {"1": "a", "true": "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: 'a' stands there twice"),
        ("x: {<<: {}, a: 1, a: 2}", "line 1: 'a' stands there twice"),
        ("? [1]\n: 2", "line 1: a key must be a word"),
        ("a: [", "did not find expected node content"),
        ("a: *x", "line 1: found undefined alias 'x'"),
        ("a\n---\nb", "single document"),
        ("a: !python/object:x {}", "could not determine a constructor"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, message: str) -> None:
    with pytest.raises(YamlError, match=message):
        read_yaml(text.encode())


def test_a_text_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(YamlError):
        read_yaml(b"a: \xff\xfe")
