from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from importlinter import api

ROOT = Path(__file__).parents[2]
PYPROJECT = ROOT / "pyproject.toml"

# Dependencies that belong to no single folder, each for its reason.
WITHOUT_A_HOME = {"msgspec": "the structs of every family"}
IMPORT_NAMES = {
    "prometheus-client": "prometheus_client",
    "genai-prices": "genai_prices",
    "google-re2": "re2",
    "python-stdnum": "stdnum",
    "pyyaml": "yaml",
    "jsonschema-rs": "jsonschema_rs",
}


def test_import_contracts_hold() -> None:
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_runtime_dependency_has_a_home() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    declared = {re.split(r"[\[>]", requirement)[0] for requirement in project["dependencies"]}
    contracts = api.read_configuration(str(PYPROJECT))["contracts_options"]

    with_a_home = {module for contract in contracts for module in contract.get("forbidden_modules", [])}

    missing = {name for name in declared if IMPORT_NAMES.get(name, name) not in with_a_home}
    assert missing == set(WITHOUT_A_HOME)


LATE = ("numpy", "onnxruntime", "tokenizers", "usearch", "hyperscan", "re2", "phonenumbers", "genai_prices", "torch")
"""What is loaded when settings need it: some of it is an extra, and all of it takes time and memory."""


def test_a_gateway_loads_what_its_settings_need() -> None:
    command = f"import sys, gateway.app; print(*[name for name in {LATE} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == []
