from __future__ import annotations

import random
import string

import pytest

from policies.sanitise.scan import TextScanner, scan_text
from policies.sanitise.secrets.catalogue import Vendors, read_formats, read_vendors
from policies.sanitise.secrets.detector import SecretRules

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def drawn(length: int, alphabet: str = ALNUM, seed: int = 0) -> str:
    source = random.Random(f"{length}{alphabet}{seed}")  # noqa: S311 # reproducible, guards nothing
    return "".join(source.choice(alphabet) for _ in range(length))


def found(text: str) -> list[str]:
    return [text[finding.start : finding.end] for finding in scan_text(text, {"secrets"})]


@pytest.mark.parametrize(
    "token",
    [
        "ghp_" + drawn(36),
        "github_pat_" + drawn(22) + "_" + drawn(59),
        "glpat-" + drawn(20),
        "xoxb-" + drawn(12, string.digits) + "-" + drawn(13, string.digits) + "-" + drawn(24),
        "sk-ant-api03-" + drawn(93),
        "sk-proj-" + drawn(64),
        "AKIA" + drawn(16, string.ascii_uppercase + "234567"),
        "AIza" + drawn(35),
        "sk_live_" + drawn(24),
        "SG." + drawn(22) + "." + drawn(43),
        "hf_" + drawn(34, string.ascii_letters),
        "npm_" + drawn(36),
        "dop_v1_" + drawn(64, HEX),
        "hvs." + drawn(90),
        "gsk_" + drawn(52),
        "dapi" + drawn(32, HEX),
        "pypi-AgEIcHlwaS5vcmc" + drawn(80),
        "eyJ" + drawn(33) + ".eyJ" + drawn(60) + "." + drawn(43),
        "$2b$12$" + drawn(53, ALNUM + "./"),
    ],
)
def test_a_token_is_known_by_its_form(token: str) -> None:
    assert found(f"use {token} there") == [token]


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ('api_key = "', drawn(32), '"'),
        ("export SERVICE_TOKEN=", drawn(40, HEX), "\n"),
        ('{"clientSecret": "', drawn(24), '"}'),
        ("Authorization: Bearer ", drawn(40), ""),
        ("curl -H 'X-Api-Key: ", drawn(32, HEX), "'"),
        ("?access_token=", drawn(40), "&page=2"),
        ('password = "', "tr4c-9Kq!zw", '"'),
        ("Server=db;User Id=app;Password=", "q7Zr!t2Wm9", ";Database=x"),
        ("postgres://app:", "q7Zrt2Wm9x", "@db.firm.org/app"),
        ("wandb ", drawn(40, HEX), ""),
        ("todoist SECRET ", drawn(40, HEX), ""),
        ("mapquest_key=", drawn(32), ""),
        ("psexec \\\\host -u app -p ", "q7Zrt2Wm", " cmd"),
        ('new NetworkCredential("app", "', "q7Zrt2Wm", '")'),
        ("my api key is ", drawn(32, HEX), ", thanks"),
        ("the password for the shop is ", "tr4c-9Kq!zw", "."),
        ("API KEY ", drawn(32, HEX), ""),
        ("shop SECRET KEY ", drawn(32, HEX), ""),
    ],
)
def test_a_value_is_known_by_what_stands_before_it(before: str, value: str, after: str) -> None:
    assert found(before + value + after) == [value]


def test_a_private_key_is_found_from_its_first_to_its_last_line() -> None:
    lines = [drawn(64, ALNUM + "+/", seed) for seed in range(12)]
    key = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"])

    assert found(f"key:\n{key}\n") == [key]


@pytest.mark.parametrize(
    "text",
    [
        "git show " + drawn(40, HEX),
        "commit " + drawn(40, HEX) + " (HEAD)",
        "token of the lock: sha256:" + drawn(64, HEX),
        f'{{ url = "https://packages.example/cf/{drawn(60, HEX)}/a.whl", hash = "sha256:{drawn(64, HEX)}" }}',
        '"integrity": "sha512-' + drawn(86, ALNUM + "+/") + '=="',
        "id: 3f2b8c1e-77aa-4c1d-9e2f-0a1b2c3d4e5f",
        "data:image/png;base64," + drawn(400, ALNUM + "+/"),
        'api_key="YOUR_API_KEY_HERE"',
        'OPENAI_API_KEY="sk-1234"',
        "Authorization: Bearer <token>",
        "api_key: os.environ/OPENAI_API_KEY",
        'password = "changeme123"',
        "password = getpass.getpass()",
        'self.password = "#add-password"',
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
        "postgres://user:password@localhost/db",
        "The token is then passed to the tokenizer with max_tokens=1000000.",
        "arn:aws:bedrock:us-east-1:086734376398:model/abc",
        'cache_key = "' + drawn(40, HEX) + '"',
        "wandb-0.16.2-pyhd8ed1ab_0.conda",
        "uses: codecov/codecov-action@" + drawn(40, HEX) + " # v4",
        "bugsnag: 3f2b8c1e-77aa-4c1d-9e2f-0a1b2c3d4e5f",
        '"adafruit_id": "' + drawn(24, HEX) + '"',
        "twilio==8.2.0 --hash=sha256:" + drawn(64, HEX),
        "model=claude-3-5-sonnet-20241022 key=value",
        "from google.auth import WorkloadIdentityAuth | SyncX509WorkloadIdentityAuth",
        "the password is base64-encoded and the token is 256-bit long",
        "the hash of this commit is " + drawn(40, HEX),
        "x/pgen2/token.pyi,sha256=" + drawn(43) + ",1418",
        "x/getpass.pyi,sha256=" + drawn(43) + ",401",
        "read(join(pwd, './data/set-1-of-2b.csv'))",
        'api_key = "k9QmABCDEFGHIJKLMNop7Z"',
        'deploy_token = "px-dep-d4c3b2a1-f6e5-h8g7-j1i8-p5o0n5m3l2k1"',
        "api_key=settings.upstream.credentials, token=row.output_tokens",
    ],
)
def test_what_only_resembles_a_secret_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("mark", ["acme_", "acme-live-", "AcMe_pat_"])
def test_a_token_of_an_unlisted_service_is_known_by_its_mark_and_its_drawn_part(mark: str) -> None:
    token = mark + drawn(32)

    assert found(f"use {token} there") == [token]


@pytest.mark.parametrize(
    "text",
    [
        "call_" + drawn(24),
        "rlg_01" + drawn(22),
        "x/token.py,sha256=v97-" + drawn(38) + ",135",
        "x/fields.py,sha256=KV_" + drawn(40) + ",135",
        "chatcmpl-" + drawn(29),
        "sha512-" + drawn(86),
        "main-" + drawn(40, HEX),
        "assets/app-" + drawn(32) + ".js",
        "https://news.example/a-" + drawn(32),
        "release_" + drawn(20),
        "internal_ADefinitionOfSeveralNames2024X",
        "data_" + drawn(40) + "/" + drawn(10),
    ],
)
def test_ids_digests_and_names_of_files_are_no_tokens_of_unlisted_services(text: str) -> None:
    assert found(f"see {text} there") == []


def test_a_gated_format_needs_its_word() -> None:
    token = drawn(6, string.ascii_lowercase + "0123456789") + "." + drawn(16, string.ascii_lowercase + "0123456789")

    assert (found(f"see {token}"), found(f"bootstrap {token}")) == ([], [token])


def test_what_one_family_misses_another_may_find() -> None:
    bare = TextScanner(secrets=SecretRules(formats=[], vendors=Vendors((), ())))
    text = 'gitlab_token = "glpat-' + drawn(20) + '"'

    assert [finding.rule for finding in bare.scan(text, {"secrets"})] == ["assigned_token"]


def test_without_any_family_nothing_but_structures_is_found() -> None:
    bare = TextScanner(secrets=SecretRules(formats=[], vendors=Vendors((), ()), has_unlisted=False))

    assert bare.scan("ghp_" + drawn(36), {"secrets"}) == []


def test_the_catalogue_has_hundreds_of_rules_with_names_of_their_own() -> None:
    names = [each.name for each in read_formats()]
    vendors = read_vendors()

    assert len(names) == len(set(names)) > 250
    assert not set(vendors.distinct) & set(vendors.ambiguous)
