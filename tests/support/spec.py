"""The published description of OpenAI's API, to hold answers against."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

_FILE: Final = Path(__file__).resolve().parents[3] / "shared" / "openai-spec" / "openai-trimmed.json"


def check_against_spec(document: Any, schema: str) -> None:
    """Fail unless a JSON value fits a schema of the description, by its name there."""
    problems = [
        f"{'/'.join(str(step) for step in problem.absolute_path)}: {problem.message}"
        for problem in _validator(schema).iter_errors(document)
    ]
    assert not problems, f"no {schema}: {'; '.join(problems)}"


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    if not _FILE.exists():
        pytest.skip("the published API description is not beside the repository (shared/openai-spec)")
    description = json.loads(_FILE.read_text())
    if schema not in description["components"]["schemas"]:
        raise LookupError(schema)
    root = {"$ref": f"#/components/schemas/{schema}", "components": description["components"]}
    return jsonschema.Draft202012Validator(root)
