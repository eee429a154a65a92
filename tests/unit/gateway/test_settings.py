from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.domain.secret import Secret
from gateway.settings import (
    NOT_YET,
    SECTIONS,
    Settings,
    SettingsError,
    built_in,
    field_docs,
    fingerprint,
    load,
    parse,
    schema,
)
from gateway.upstreams.settings import EchoUpstream, OpenAIUpstream
from policies.effective import guard_of
from policies.settings import LevelSettings, TeamSettings

ROOT = Path(__file__).parents[3]
SECRET = "sk-tw-0123456789abcdef"

GOOD: dict[str, Any] = {
    "upstreams": {"openai": {"kind": "openai", "base_url": "http://127.0.0.1:1/v1"}, "offline": {"kind": "echo"}},
    "models": {"gpt-5": {"upstream": "openai"}, "small": {"upstream": "offline", "price": {"input": 1, "output": 2}}},
    "aliases": {"gpt-4o": "auto"},
    "router": {"tiers": {"simple": ["small"], "complex": ["gpt-5"]}},
    "organisation": {"teams": {"search": {"keys": [{"name": "ci", "secret": SECRET}]}}},
}


def changed(path: str, value: Any) -> bytes:
    """Return a good file with one value set, given by its path."""
    tree: Any = yaml.safe_load(yaml.safe_dump(GOOD))
    steps: list[Any] = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)]
    place = tree
    for step in steps[:-1]:
        place = place[step] if isinstance(place, list) else place.setdefault(step, {})
    place[steps[-1]] = value
    return yaml.safe_dump(tree).encode()


def problem(raw: bytes, **environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(raw, environment)
    return str(caught.value)


def test_a_good_file_is_read() -> None:
    settings = parse(yaml.safe_dump(GOOD).encode(), {})

    assert isinstance(settings.upstreams["openai"], OpenAIUpstream)
    assert isinstance(settings.upstreams["offline"], EchoUpstream)
    assert settings.models["gpt-5"].upstream == "openai"
    assert settings.organisation.teams["search"].keys[0].secret == Secret(SECRET)
    assert settings.server.port == 8080


@pytest.mark.parametrize("raw", [b"", b"\n", b"# only a comment\n", b"---\n", b"null"])
def test_an_empty_file_is_the_built_in_settings(raw: bytes) -> None:
    assert parse(raw, {}) == built_in()


def test_the_built_in_settings_have_a_model_a_tier() -> None:
    settings = built_in()

    assert sorted(settings.router.tiers) == ["complex", "medium", "simple"]
    assert {name for names in settings.router.tiers.values() for name in names} == set(settings.models)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("server", 5),
        ("server", None),
        ("server.port", 65536),
        ("server.port", "http"),
        ("server.prot", 1),
        ("server.workers", 0),
        ("server.admin_listen", "9090"),
        ("server.admin_key", 5),
        ("server.admin_key", "short"),
        ("server.tls", {"certificate": "a"}),
        ("server.tls", {"certificate": "a", "key": "b", "ca": "c"}),
        ("server.body_limit_mb", 0),
        ("server.body_timeout_s", 0),
        ("server.cors_origins", "*"),
        ("server.drain_s", -1),
        ("state", "postgres://x"),
        ("state", 5),
        ("upstreams.openai", 5),
        ("upstreams.openai.kind", "nope"),
        ("upstreams.openai.base_url", "ftp://x"),
        ("upstreams.openai.api_key", 5),
        ("upstreams.openai.query", {"api-version": 1}),
        ("upstreams.openai.features", ["chat", "nope"]),
        ("upstreams.openai.timeouts.connect_s", 0),
        ("upstreams.openai.timeouts.conect_s", 1),
        ("upstreams.openai.max_connections", 0),
        ("upstreams.openai.http2", "yes, please"),
        ("upstreams.openai.proxy", "nope"),
        ("upstreams.offline.delay_ms", -1),
        ("models.small", "offline"),
        ("models.small.upstream", "nobody"),
        ("models.small.weight", 0),
        ("models.small.context_tokens", 0),
        ("models.small.price.input", -1),
        ("models.small.price.inptu", 1),
        ("models.auto", {"upstream": "offline"}),
        ("models.auto/simple", {"upstream": "offline"}),
        ("models.team/x", {"upstream": "offline"}),
        ("aliases.gpt-4o", "nobody"),
        ("aliases.gpt-4o", 5),
        ("aliases.gpt-5", "small"),
        ("aliases.auto", "small"),
        ("router.tiers.easy", ["small"]),
        ("router.tiers.simple", ["nobody"]),
        ("router.tiers.simple[0]", 5),
        ("router.strategy", "by_magic"),
        ("router.default_tier", "hard"),
        ("router.unknown_model", "guess"),
        ("guard.limits.characters", 0),
        ("guard.limits.images", "many"),
        ("guard.limit", {}),
        ("cache.exact", "maybe"),
        ("cache.scope", "world"),
        ("cache.ttl_s", 0),
        ("cache.max_mb", 0),
        ("organisation.name", "has space"),
        ("organisation.limits.concurrency", 0),
        ("organisation.models", "*"),
        ("organisation.teams.search.models", [1]),
        ("organisation.teams.search.keys[0].name", "has space"),
        ("organisation.teams.search.keys[0].secret", "short"),
        ("organisation.teams.search.keys[0].secret", "a secret with spaces in it"),
        ("organisation.teams.search.keys[0].secret", "sk-tw-0123456789abcdéf"),
        ("organisation.teams.search.keys[0].secret", 1234567890123456789),
        ("organisation.teams.search.keys[0].expires", "tomorrow"),
        ("organisation.teams.search.keys[0].metadata", {"a": 1}),
        ("organisation.teams.search.keys[0].secrt", SECRET),
        ("telemetry.metrics.label_top_n", 0),
        ("telemetry.log.format", "xml"),
        ("telemetry.log.content", "all"),
        ("nonsense", {}),
    ],
)
def test_a_wrong_value_is_named_by_its_path(path: str, value: Any) -> None:
    where, colon, expected = problem(changed(path, value)).partition(": ")

    # A missing, unknown or misnamed member is reported where the mapping stands or below the value given.
    assert colon
    assert expected
    assert where in (path, path.rpartition(".")[0]) or where.startswith((path + ".", path + "["))


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("upstreams.openai.kind", "nope", "upstreams.openai.kind"),
        ("models.small.upstream", "nobody", "models.small.upstream"),
        ("models.small.price.input", -1, "models.small.price.input"),
        ("server.port", 65536, "server.port"),
        ("organisation.teams.search.keys[0].secret", 5, "organisation.teams.search.keys[0].secret"),
        ("router.tiers.simple[0]", "nobody", "router.tiers.simple[0]"),
    ],
)
def test_the_path_leads_to_the_entry_among_several(path: str, value: Any, where: str) -> None:
    assert problem(changed(path, value)).startswith(f"{where}: ")


def test_an_unknown_field_is_compared_with_the_known_ones() -> None:
    assert problem(changed("server.prot", 1)) == "server.prot: unknown field (did you mean 'port'?)"
    assert problem(changed("server.zzzzzzzz", 1)) == "server.zzzzzzzz: unknown field"


def test_a_bare_off_is_explained() -> None:
    assert "quotes" in problem(changed("telemetry.log.format", value=False))


def test_a_missing_field_is_named() -> None:
    message = problem(b"upstreams: {a: {kind: echo}, b: {kind: openai}}")

    assert message == "upstreams.b: object missing required field 'base_url'"


@pytest.mark.parametrize("raw", [b"[]", b"text", b"5", b"- a\n- b"])
def test_a_file_without_sections_is_refused(raw: bytes) -> None:
    assert "mapping" in problem(raw)


@pytest.mark.parametrize("raw", [b"a: [", b"a: b: c", b"\xff", b"a: 'x", b"\t a: 1", b"!!python/object:os.system {}"])
def test_broken_yaml_is_refused(raw: bytes) -> None:
    assert problem(raw).startswith("not valid YAML")


@pytest.mark.parametrize(
    "raw",
    [b"server: {port: 1}\nserver: {port: 2}", b"server:\n  port: 1\n  port: 2", b"models: {'a': {}, \"a\": {}}"],
)
def test_a_key_that_stands_twice_is_refused_with_its_line(raw: bytes) -> None:
    message = problem(raw)

    assert "twice" in message
    assert re.search(r"line \d", message)


@pytest.mark.parametrize("raw", [b"? [a, b]\n: 1\n", b"server: {? {a: 1} : 2}", b"1: 2", b"models: {1: {upstream: a}}"])
def test_a_key_that_is_no_text_is_refused(raw: bytes) -> None:
    assert problem(raw)


@pytest.mark.parametrize("raw", [b"server: &a {host: *a}", b"aliases: &a\n  b: [*a]"])
def test_a_file_that_contains_itself_is_refused(raw: bytes) -> None:
    assert problem(raw)


def test_references_are_read_from_the_environment() -> None:
    raw = changed("organisation.teams.search.keys[0].secret", "${KEY}").replace(
        b"http://127.0.0.1:1/v1", b"${SCHEME}://${HOST}/v1"
    )

    settings = parse(raw, {"KEY": SECRET, "SCHEME": "https", "HOST": "example.org"})

    assert settings.organisation.teams["search"].keys[0].secret.reveal() == SECRET
    upstream = settings.upstreams["openai"]
    assert isinstance(upstream, OpenAIUpstream)
    assert upstream.base_url == "https://example.org/v1"


def test_a_reference_to_nothing_is_named_with_its_path() -> None:
    message = problem(changed("organisation.teams.search.keys[0].secret", "${NO_KEY}"))

    assert message.startswith("organisation.teams.search.keys[0].secret: ")
    assert "NO_KEY" in message


def test_a_reference_is_resolved_once() -> None:
    settings = parse(changed("upstreams.openai.headers.x-a", "${A}"), {"A": "${B}", "B": "no"})

    upstream = settings.upstreams["openai"]
    assert isinstance(upstream, OpenAIUpstream)
    assert upstream.headers == {"x-a": "${B}"}


def test_other_dollar_signs_are_text() -> None:
    settings = parse(changed("upstreams.openai.headers.x-a", "$A ${1} $$"), {"A": "no"})

    upstream = settings.upstreams["openai"]
    assert isinstance(upstream, OpenAIUpstream)
    assert upstream.headers == {"x-a": "$A ${1} $$"}


@pytest.mark.parametrize("pattern", NOT_YET)
def test_fields_of_later_versions_are_refused_as_such(pattern: str) -> None:
    path, _, value = pattern.partition("=")
    steps: list[str] = path.replace("teams.*", "teams.search").replace("upstreams.*", "upstreams.openai").split(".")
    tree: Any = value or {"x": 1}
    for above, step in reversed(list(zip(["", *steps], steps, strict=False))):
        tree = [tree] if step == "*" and above == "keys" else {step: tree}

    message = problem(yaml.safe_dump(tree).encode())

    assert "not available yet" in message
    assert message.startswith(steps[0])


def test_a_file_without_models_is_refused() -> None:
    assert problem(b"server: {port: 1}") == "models: at least one model is needed"


def test_two_keys_of_a_name_are_refused() -> None:
    keys = [{"name": "ci", "secret": SECRET}, {"name": "ci", "secret": SECRET + "2"}]

    message = problem(changed("organisation.teams.search.keys", keys))

    assert message.startswith("organisation.teams.search.keys[1].name: ")


def test_two_keys_with_one_secret_are_refused_without_showing_it() -> None:
    message = problem(changed("server.admin_key", SECRET))

    assert message == "organisation.teams.search.keys[0].secret: the same secret as server.admin_key"


@pytest.mark.parametrize("secret", ["short", "has spaces in the middle", "sk-tw-0123456789abcdéf"])
def test_a_refused_secret_is_not_shown(secret: str) -> None:
    assert secret not in problem(changed("organisation.teams.search.keys[0].secret", secret))


def test_secrets_are_hidden_when_settings_are_printed() -> None:
    raw = changed("upstreams.openai.api_key", "sk-of-the-upstream")

    shown = repr(parse(raw, {}))

    assert SECRET not in shown
    assert "sk-of-the-upstream" not in shown


def test_load_reads_a_file_and_its_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "tierway.yaml"
    path.write_text(yaml.safe_dump(GOOD))

    settings, found = load(path)

    assert settings == parse(path.read_bytes(), {})
    assert found == fingerprint(path.read_bytes())
    assert re.fullmatch("[0-9a-f]{12}", found)


def test_load_says_why_a_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: cannot be read"):
        load(tmp_path / "nowhere.yaml")


def test_load_uses_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tierway.yaml"
    path.write_bytes(changed("organisation.teams.search.keys[0].secret", "${TIERWAY_TEST_KEY}"))
    monkeypatch.setenv("TIERWAY_TEST_KEY", SECRET)

    settings, _ = load(path)

    assert settings.organisation.teams["search"].keys[0].secret.reveal() == SECRET


def shipped() -> list[Path]:
    return sorted([*ROOT.glob("bench/*.yaml"), *ROOT.glob("examples/**/*.yaml")])


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_shipped_files_fit_the_schema_and_load(path: Path) -> None:
    names = set(re.findall(r"\$\{(\w+)\}", path.read_text()))
    environment = {name: f"http://127.0.0.1:1/{name}-0123456789abcdef" for name in names}
    environment["BENCH_REDIS"] = "redis://127.0.0.1:6379/0"
    text = re.sub(r"\$\{(\w+)\}", lambda found: environment[found[1]], path.read_text())

    problems = [error.message for error in validator().iter_errors(as_json(yaml.safe_load(text)))]
    settings = parse(path.read_bytes(), environment)

    assert problems == []
    assert settings.models


def test_some_files_are_shipped() -> None:
    assert shipped()


@pytest.mark.parametrize(
    ("path", "value"),
    [("server.port", "x"), ("server.prot", 1), ("upstreams.openai.kind", "nope"), ("models.small.price.input", -1)],
)
def test_the_schema_refuses_what_parse_refuses(path: str, value: Any) -> None:
    document = as_json(yaml.safe_load(changed(path, value)))

    assert not validator().is_valid(document)


def test_the_schema_takes_a_good_file() -> None:
    assert validator().is_valid(as_json(GOOD))


def test_the_schema_says_that_secrets_are_passwords() -> None:
    key = schema()["$defs"]["KeySettings"]["properties"]["secret"]

    assert key["type"] == "string"
    assert key["format"] == "password"


@pytest.mark.parametrize("struct", SECTIONS)
def test_every_field_is_documented(struct: Any) -> None:
    described = schema()["$defs"][struct.__name__]["properties"]

    assert set(field_docs(struct)) == set(struct.__struct_fields__)
    assert all(described[field]["description"] for field in struct.__struct_fields__)


def test_every_struct_of_the_file_is_listed() -> None:
    listed = {struct.__name__ for struct in SECTIONS}

    assert set(schema()["$defs"]) == listed
    assert Settings in SECTIONS


def validator() -> jsonschema.Draft202012Validator:
    document = schema()
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def as_json(document: Any) -> Any:
    """Write dates as JSON has them."""
    if isinstance(document, dict):
        return {key: as_json(value) for key, value in document.items()}
    if isinstance(document, list):
        return [as_json(value) for value in document]
    return document.isoformat() if hasattr(document, "isoformat") else document


def test_a_models_name_that_no_header_can_hold_is_refused() -> None:
    with pytest.raises(SettingsError, match="cannot be sent in a header"):
        parse(b'upstreams: {o: {kind: echo}}\nmodels: {"a\\nb": {upstream: o}}', {})


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"relay: {upstream: nobody}", "relay.upstream"),
        (b"relay: {upstream: o}", "relay.upstream"),
        (b"encryption_key: short", "encryption_key"),
    ],
)
def test_what_points_nowhere_or_is_too_short_is_refused(text: bytes, where: str) -> None:
    with pytest.raises(SettingsError, match=where):
        parse(b"upstreams: {o: {kind: echo}}\nmodels: {m: {upstream: o}}\n" + text, {})


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("organisation.limits", {"requests_per_minute": -1}, "organisation.limits.requests_per_minute"),
        ("organisation.limits", {"concurrency": 10**13}, "organisation.limits.concurrency"),
        ("organisation.budgets", [{"usd": -1}], "organisation.budgets[0].usd"),
        ("organisation.budgets", [{"usd": 1e12}], "organisation.budgets[0].usd"),
        ("organisation.budgets", [{"usd": 1, "soft": 1.5}], "organisation.budgets[0].soft"),
        ("organisation.budgets", [{"usd": 1, "window": "fortnight"}], "organisation.budgets[0].window"),
        ("organisation.teams.search.weight", 0, "organisation.teams.search.weight"),
        ("organisation.examples", [{"key": "nobody/x", "expect": {}}], "organisation.examples[0].key"),
    ],
)
def test_policy_that_makes_no_sense_is_refused_by_its_path(path: str, value: Any, where: str) -> None:
    assert problem(changed(path, value)).startswith(f"{where}: ")


def test_the_guard_at_the_top_is_the_organisations() -> None:
    settings = parse(changed("guard", {"input": {"pii": "flag"}}), {})

    assert settings.organisation.guard is not None
    assert settings.organisation.guard.input == settings.guard.input
    assert settings.guard.input.pii == "flag"


def test_the_organisation_may_have_its_guard_in_its_own_section() -> None:
    settings = parse(changed("organisation.guard", {"input": {"pii": "flag"}}), {})

    assert settings.organisation.guard is not None
    assert settings.organisation.guard.input.pii == "flag"


def test_a_guard_in_two_places_is_refused() -> None:
    tree = yaml.safe_load(changed("guard", {"restore": False}))
    tree["organisation"]["guard"] = {"restore": True}

    assert problem(yaml.safe_dump(tree).encode()).startswith("organisation.guard: ")


def test_an_action_that_is_none_is_refused_by_its_path() -> None:
    assert problem(changed("guard", {"input": {"pii": "off"}})).startswith("guard.input.pii: ")


@pytest.mark.parametrize("said", ["flag", {"action": "flag", "roots": ["/srv"]}])
def test_what_tools_are_asked_may_be_an_action_or_a_mapping(said: object) -> None:
    settings = parse(changed("guard", {"tool_arguments": said}), {})

    assert guard_of(settings.organisation, TeamSettings(), LevelSettings()).tools.action == "flag"
