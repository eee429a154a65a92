from __future__ import annotations

import pytest

from cache.verifier.literals import flat, literals


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("run `make all` now", {"make all"}),
        ('a file named "draft one"', {"draft one"}),
        ("a file named 'draft'", {"draft"}),
        ("it's the dog's bone", set()),
        ("look under /var/log/ please", {"/var/log"}),
        ("look under ./src/app", {"src/app"}),
        ("all *.csv files", {".csv"}),
        ("rename notes.txt", {"notes.txt"}),
        ("pass --dry-run to it", {"--dry-run"}),
        ("write to someone@example.org.", {"someone@example.org"}),
        ("open https://example.org/a?b=1 first", {"https://example.org/a?b=1"}),
        ("set MAX_SIZE and readOnly", {"MAX_SIZE", "readOnly"}),
        ("use $HOME", {"$HOME"}),
        ("call close()", {"close()"}),
        ("a well-known thing", set()),
        ("plain words only", set()),
    ],
)
def test_what_is_quoted_to_the_letter_is_found(text: str, found: set[str]) -> None:
    assert literals(text) == found


def test_a_flat_text_has_no_case_quotes_or_spacing() -> None:
    assert flat('Find  "My File"\nnow') == "find my file now"
