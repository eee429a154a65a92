"""Every file in examples/ is run, as its first lines say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.conftest import StartGateway
from tests.support.live import ROOT, LiveGateway, tierway

EXAMPLES = ROOT / "examples"
ADMIN_KEY = "admin-0123456789abcdef"
SECRETS = {
    "TIERWAY_ADMIN_KEY": ADMIN_KEY,
    "OPENAI_API_KEY": "sk-made-up-openai",
    "ANTHROPIC_API_KEY": "sk-ant-made-up",
    "AZURE_RESOURCE": "made-up",
    "AZURE_API_KEY": "made-up-azure",
    "SEARCH_CI_KEY": "sk-made-up-search-ci",
}


SEAL = {"TIERWAY_ENCRYPTION_KEY": "encryption-0123456789abcdef"}


def run(script: str, *arguments: str, **environment: str) -> str:
    """Run a script of examples/ to its end and return what it printed."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == {
        "chat.py",
        "guarded.yaml",
        "keys.py",
        "providers.yaml",
    }


def test_chat_talks_streams_and_calls_a_tool(echo: LiveGateway) -> None:
    printed = run("chat.py", OPENAI_BASE_URL=echo.api, OPENAI_API_KEY="any")

    assert "plain: [echo-simple] Translate 'good morning' into French." in printed
    assert "answered by: echo-simple tier: simple;" in printed
    assert "stream: [echo-simple] Write a haiku about rain." in printed
    assert "usage: " in printed
    assert "tool: get_weather {'city': " in printed
    assert "after the tool: " in printed


def test_keys_are_made_used_and_revoked(start_gateway: StartGateway) -> None:
    settings = {
        "server": {"admin_key": ADMIN_KEY},
        "upstreams": {"offline": {"kind": "echo"}},
        "models": {"echo-simple": {"upstream": "offline"}},
    }
    gateway = start_gateway(settings)

    printed = run("keys.py", gateway.url, TIERWAY_ADMIN_KEY=ADMIN_KEY)

    assert "for search/laptop; its key is shown this once: sk-tw-" in printed
    assert "with it, /v1/models answers 200: ['echo-simple']" in printed
    assert "listed: ['laptop']" in printed
    assert "revoked: 204" in printed
    assert "with it, /v1/models answers 401: " in printed


def test_provider_settings_are_good(tmp_path: Path) -> None:
    checked = tierway("check", "--config", str(EXAMPLES / "providers.yaml"), folder=tmp_path, environment=SECRETS)

    assert checked.returncode == 0, checked.stderr
    assert "4 upstreams, 5 models, 1 keys" in checked.stdout


def test_guarded_settings_do_what_they_say(start_gateway: StartGateway, tmp_path: Path) -> None:
    path = EXAMPLES / "guarded.yaml"
    gateway = start_gateway(arguments=["--config", str(path)], environment=SEAL)

    def ask(text: str) -> httpx2.Response:
        document = {"model": "chat", "messages": [{"role": "user", "content": text}]}
        return httpx2.post(f"{gateway.api}/chat/completions", json=document, timeout=30.0)

    guarded = ask("Write to ann@example.com, please")
    ask("Write a letter, please")
    again = ask("Write a letter, please")

    assert guarded.json()["choices"][0]["message"]["content"] == "[chat] Write to ann@example.com, please"
    assert "pii=redact" in guarded.headers["x-tierway-guard"]
    assert "restored=1" in guarded.headers["x-tierway-guard"]
    assert again.headers["x-tierway-cache"].startswith("exact;")


@pytest.mark.parametrize("with_limits", [False, True])
def test_the_settings_of_the_readme_are_good(tmp_path: Path, *, with_limits: bool) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    providers, limits = blocks
    path = tmp_path / "readme.yaml"
    path.write_text(providers.partition("organisation:")[0] + limits if with_limits else providers)

    checked = tierway("check", "--config", str(path), folder=tmp_path, environment=SECRETS)

    assert checked.returncode == 0, checked.stderr


def test_provider_settings_start_a_gateway(tmp_path: Path) -> None:
    settings = (EXAMPLES / "providers.yaml").read_text()
    path = tmp_path / "providers.yaml"
    path.write_text(settings)
    with LiveGateway(tmp_path, arguments=["--config", str(path)], environment=SECRETS) as gateway:
        assert b'"status":"ready"' in gateway.get("/readyz")


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_that_is_not_set_is_named(name: str, tmp_path: Path) -> None:
    environment = {other: value for other, value in SECRETS.items() if other != name}

    checked = tierway("check", "--config", str(EXAMPLES / "providers.yaml"), folder=tmp_path, environment=environment)

    assert checked.returncode == 1
    assert f"the environment variable {name} is not set" in checked.stderr
