"""The settings file as typed structs; the only place that reads it or the environment."""

from __future__ import annotations

import ast
import difflib
import hashlib
import inspect
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from cache.directives import read_directives
from cache.settings import CacheSettings, EmbeddingUpstream
from gateway.alerts.settings import AlertSettings
from gateway.domain.errors import InvalidRequestError
from gateway.domain.money import Price
from gateway.domain.secret import Secret
from gateway.domain.tier import TIERS
from gateway.experiments.settings import ExperimentSettings, ShadowSettings, Split
from gateway.inclusion import Inclusion, InclusionError
from gateway.upstreams.settings import AnthropicUpstream, AnyUpstream, EchoUpstream, Model, OpenAIUpstream, Timeouts
from gateway.yaml_reader import YamlError, read_yaml
from policies.review import faults
from policies.sanitise import settings as guard_settings
from policies.sanitise.external import settings as external_guards
from policies.sanitise.external.settings import GuardSection
from policies.sanitise.settings import GuardSettings
from policies.settings import (
    Budget,
    CacheRules,
    Example,
    Expectation,
    HoldSettings,
    KeySettings,
    LevelSettings,
    Limits,
    LostState,
    OrganisationSettings,
    QueueSettings,
    StagingSettings,
    TeamSettings,
    UserSettings,
)
from router.health.settings import BreakerSettings
from router.settings import HedgeSettings, OutputSettings, RetrySettings, RouterSettings, Target

_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_Seconds = Annotated[float, msgspec.Meta(gt=0)]


class SettingsError(Exception):
    """The settings cannot be used; the message names the field and what was expected."""


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Serving https."""

    certificate: str
    """Path of the PEM file with the certificate chain."""
    key: str
    """Path of the PEM file with its private key."""
    client_ca: str | None = None
    """Path of a PEM file; when given, callers must present a certificate it signed."""


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where and how the gateway listens. Changes here take a restart."""

    host: str = "127.0.0.1"
    """The address to listen on; `--host` wins. Other than loopback needs at least one key."""
    port: _Port = 8080
    """The port to listen on; `--port` wins; 0 lets the system choose."""
    workers: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Processes. More than one needs shared state."""
    admin_listen: Annotated[str, msgspec.Meta(pattern=r"^\S+:\d+$")] | None = None
    """`host:port` for `/admin`, `/ui` and `/metrics` alone; they then leave the main address."""
    admin_key: Secret | None = None
    """The key of `/admin`, at least 16 characters; without it the admin API is off."""
    tls: Tls | None = None
    """Serve https with these files."""
    body_limit_mb: Annotated[float, msgspec.Meta(gt=0)] = 32.0
    """The largest request body in megabytes (2^20 bytes), as sent and after inflation."""
    body_timeout_s: _Seconds = 30.0
    """Seconds without a byte of a request body that is not yet complete."""
    header_timeout_s: _Seconds = 10.0
    """Seconds from a connection's start, or from the first byte of a further request, to the end of a request's head;
    also for the handshake of https."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose browsers may call the API; `*` for any. None: no CORS headers at all."""
    drain_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    """Seconds that requests in flight get to finish when the process is told to stop."""


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `/metrics` shows."""

    label_top_n: Annotated[int, msgspec.Meta(ge=1)] = 50
    """Values of a label that callers influence (team, model) that get a series of their own; the rest is `other`."""


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one line each request leaves on standard output."""

    format: Literal["json", "none"] = "json"
    """`json`: one object a line; `none`: no lines at all."""
    content: Literal["none", "digest"] = "none"
    """Prompts and answers are never logged. `digest`: of the last message a hash under a key of the organisation's,
    derived from `encryption_key` (without one: comparable within the process only), its length, its form (`text`,
    `code`, `json`) and its script (`latin`, `cyrillic`, ...)."""


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record of what every answer consumed."""

    keep_days: Annotated[int, msgspec.Meta(ge=1, le=3660)] = 90
    """Days for which records are kept."""


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gateway tells about itself."""

    metrics: MetricsSettings = MetricsSettings()
    """What `/metrics` shows."""
    log: LogSettings = LogSettings()
    """The request log."""
    ledger: LedgerSettings | None = LedgerSettings()
    """The usage ledger: one record for each answer, without its content. null: none, and no `/admin/usage`."""
    alerts: AlertSettings = AlertSettings()
    """When operators are told, and where."""


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paths of OpenAI's API besides those of models (files, images, audio, batches, ...), passed on as they are."""

    upstream: str | None = None
    """The entry of `upstreams` that answers them; absent, nothing does. `organisation.endpoints` says who may ask."""
    prices: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    """US dollars that one POST to a family of paths is charged (`images: 0.17`). Callers with a budget are refused
    families without a price, but for those that cost nothing: conversations, files, moderations, uploads."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole settings file."""

    server: ServerSettings = ServerSettings()
    """Where and how the gateway listens."""
    state: Annotated[
        str, msgspec.Meta(pattern=r"^(sqlite:///.+|rediss?://.+|rediss?\+(sentinel|cluster)://.+|unix://.+)$")
    ] = "sqlite:///tierway.db"
    """Where keys, counters, usage and stored responses are kept. `sqlite:///relative/path` or
    `sqlite:////absolute/path`: beside that file, for one process. `redis://host:6379/0`, `rediss://`,
    `redis+sentinel://`, `redis+cluster://` or `unix:///path`: for any number of them. A change takes a restart."""
    encryption_key: Secret | None = None
    """What stored responses, cached answers and other texts are sealed with, at least 16 characters. Absent: nothing
    that was said is kept but in memory, and that is gone with the process."""
    encryption_keys_before: tuple[Secret, ...] = ()
    """Earlier keys, which open what they have sealed: put the old key here when you change `encryption_key`, and take
    it out when all that it sealed has expired."""
    upstreams: dict[str, AnyUpstream] = {}
    """Who can be asked, by a name of your own."""
    relay: RelaySettings = RelaySettings()
    """Other paths of OpenAI's API."""
    models: dict[str, Model] = {}
    """The names callers may ask for."""
    aliases: dict[str, str | Split] = {}
    """Other names: each stands for a model, `auto` or `auto/<tier>`, or for several of these, each for a part of the
    callers."""
    router: RouterSettings = RouterSettings()
    """How a request finds the models that may answer it."""
    guard: GuardSection = GuardSection()
    """What is checked in requests and answers of the whole organisation; its teams and keys may tighten it."""
    cache: CacheSettings = CacheSettings()
    """Which answers are kept."""
    organisation: OrganisationSettings = OrganisationSettings()
    """Callers and what they may do. It, and each of its teams, may also be the path of a file that holds the mapping,
    relative to the file that names it and within the folder of the settings file."""
    experiments: ExperimentSettings = ExperimentSettings()
    """Comparing models on the traffic there is."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """What the gateway tells about itself."""

    def __repr__(self) -> str:  # `state` may hold a password, and canaries are secrets
        return f"Settings({len(self.upstreams)} upstreams, {len(self.models)} models)"

    def __post_init__(self) -> None:
        """Hand the guard to the organisation, whose levels it is resolved with."""
        guard = external_guards.without_others(self.guard)
        if self.organisation.guard is None and guard != GuardSettings():
            organisation = msgspec.structs.replace(self.organisation, guard=guard)
            msgspec.structs.force_setattr(self, "organisation", organisation)


SECTIONS: Final = (
    Settings, ServerSettings, Tls, RelaySettings,
    OpenAIUpstream, AnthropicUpstream, EchoUpstream, Timeouts, Model, Price,
    RouterSettings, Target, RetrySettings, BreakerSettings, HedgeSettings, OutputSettings, Split, ExperimentSettings,
    ShadowSettings,
    *external_guards.SECTIONS, *guard_settings.SECTIONS, CacheSettings, EmbeddingUpstream, OrganisationSettings,
    CacheRules, Limits, Budget, UserSettings, LostState, QueueSettings, HoldSettings, StagingSettings, TeamSettings,
    KeySettings, Example, Expectation, TelemetrySettings, MetricsSettings, LogSettings, LedgerSettings, AlertSettings,
)  # fmt: skip
"""Every struct of the file, in the order the reference lists them."""

NOT_YET: Final = (
    "agents",
    "telemetry.otlp",
)
"""Fields and values whose names are settled and whose parts of the product are still to come."""

FREE: Final = Price(input=0.0, output=0.0)
"""What models of the offline upstream cost."""

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MIN_SECRET_CHARACTERS: Final = 16


def built_in() -> Settings:
    """Return the settings used without a file: the offline upstream, one model a tier."""
    models = {f"echo-{tier}": Model(upstream="offline", price=Price(input=0.0, output=0.0)) for tier in TIERS}
    return Settings(
        upstreams={"offline": EchoUpstream()},
        models=models,
        aliases={"gpt-4o-mini": "auto", "gpt-4o": "auto"},
        router=RouterSettings(tiers={tier: (f"echo-{tier}",) for tier in TIERS}, default_tier="simple"),
    )


def load(path: Path) -> tuple[Settings, str]:
    """Read a settings file and what it includes.

    Returns:
        The settings, and the first 12 hex digits of the SHA-256 of all that was read.

    Raises:
        SettingsError: a file cannot be read or used.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from error
    inclusion = Inclusion(path, _decode)
    settings = parse(raw, os.environ, inclusion)
    return settings, fingerprint(raw, *inclusion.contents.values())


def fingerprint(*contents: bytes) -> str:
    """Return the short hash that stands for a settings file, and what it includes, in `/readyz` and the metrics."""
    digest = hashlib.sha256(contents[0])
    for raw in contents[1:]:
        digest.update(hashlib.sha256(raw).digest())
    return digest.hexdigest()[:12]


def files(path: Path) -> tuple[Path, ...]:
    """Return a settings file and those it includes, as far as they are found: an edit of any of them is one."""
    inclusion = Inclusion(path, _decode)
    with suppress(OSError, SettingsError, InclusionError):
        tree = _decode(path.read_bytes())
        if isinstance(tree, dict):
            inclusion.complete(tree)
    return tuple(inclusion.files)


def parse(raw: bytes, environment: Any, inclusion: Inclusion | None = None) -> Settings:
    """Turn the bytes of a settings file into settings.

    Args:
        environment: what `${NAME}` stands for.
        inclusion: reads included files; without it none can be.

    Raises:
        SettingsError: naming the path of the wrong field and what was expected.
    """
    tree = _decode(raw)
    if tree is None:
        return built_in()
    if not isinstance(tree, dict):
        raise SettingsError("the file must hold a mapping of sections, such as 'server:' and 'upstreams:'")
    try:
        tree = inclusion.complete(tree) if inclusion else tree
    except InclusionError as error:
        raise SettingsError(str(error)) from error
    _refuse_not_yet(tree)
    try:
        tree = _resolve(tree, environment, "")
    except RecursionError as error:
        raise SettingsError("the file contains itself: an anchor (&) is repeated (*) below its own place") from error
    if "guard" in tree and isinstance(tree.get("organisation"), dict) and "guard" in tree["organisation"]:
        raise SettingsError("organisation.guard: the guard stands at the top of this file already")
    settings = _convert(tree)
    _check_references(settings)
    return settings


def _decode(raw: bytes) -> Any:
    try:
        return read_yaml(raw)
    except YamlError as error:
        raise SettingsError(f"not valid YAML: {error}") from error


def _refuse_not_yet(tree: dict[str, Any]) -> None:
    for pattern in NOT_YET:
        path, _, value = pattern.partition("=")
        for where, found in _at(tree, path.split("."), ""):
            if not value or (isinstance(found, str) and found.startswith(value)):
                shown = f"{where}: {value}" if value else where
                raise SettingsError(f"{shown}: not available yet in this version; remove it")


def _at(tree: Any, steps: list[str], where: str) -> list[tuple[str, Any]]:
    if not steps:
        return [(where, tree)]
    step, rest = steps[0], steps[1:]
    if isinstance(tree, list):
        children = [(f"{where}[{i}]", child) for i, child in enumerate(tree)] if step == "*" else []
    elif isinstance(tree, dict):
        children = [(f"{where}.{k}".lstrip("."), child) for k, child in tree.items() if step in ("*", k)]
    else:
        children = []
    return [hit for name, child in children for hit in _at(child, rest, name)]


def _resolve(value: Any, environment: Any, where: str) -> Any:
    """Replace each `${NAME}` in the strings of a tree by the environment variable of that name."""
    if isinstance(value, dict):
        return {key: _resolve(item, environment, f"{where}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, environment, f"{where}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        if name not in environment:
            raise SettingsError(f"{where}: the environment variable {name} is not set")
        return str(environment[name]).rstrip("\r\n")  # as left by `$(cat file)` and mounted secrets

    return _REFERENCE.sub(replace, value)


def _convert(tree: dict[str, Any]) -> Settings:
    try:
        return msgspec.convert(tree, Settings, dec_hook=_decode_secret)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(str(error), tree)) from error


def _decode_secret(kind: type, value: Any) -> Any:
    if kind is not Secret:
        raise NotImplementedError
    if not isinstance(value, str):
        raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
    return Secret(value)


def _explain(message: str, tree: dict[str, Any]) -> str:
    """Rewrite a validation message as `path: what was expected`, with the names msgspec leaves out."""
    problem, _, place = message.partition(" - at `")
    steps = place.rstrip("`").removeprefix("key` in `").removeprefix("$")
    path = ""
    narrowed: Any = tree
    for step in re.findall(r"\.[^.\[]+|\[\.\.\.\]|\[\d+\]", steps):
        if step == "[...]":
            name = _culprit(tree, path, narrowed, message)
            path, narrowed = f"{path}.{name}", narrowed.get(name)
        elif step.startswith("["):
            path, narrowed = path + step, narrowed[int(step[1:-1])] if isinstance(narrowed, list) else None
        else:
            path, narrowed = path + step, narrowed.get(step[1:]) if isinstance(narrowed, dict) else None
    problem = problem.replace("`", "'")
    if found := re.fullmatch(r"Object contains unknown field '(.+)'", problem):
        path, problem = f"{path}.{found[1]}", "unknown field" + _suggest(found[1])
    elif narrowed is False and "str" in problem:
        problem += " (YAML reads a bare off, no or false as a truth value: put it in quotes)"
    return f"{path.lstrip('.') or 'settings'}: {problem[:1].lower()}{problem[1:]}"


def _suggest(name: str) -> str:
    known = {field for struct in SECTIONS for field in struct.__struct_fields__}
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _culprit(tree: dict[str, Any], path: str, mapping: dict[str, Any], message: str) -> str:
    """Find the entry of `mapping` that the validation of the whole tree stumbles over."""
    entries = dict(mapping)
    for name, entry in entries.items():
        mapping.clear()
        mapping[name] = entry
        try:
            msgspec.convert(tree, Settings, dec_hook=_decode_secret)
        except msgspec.ValidationError as error:
            if str(error) == message:
                mapping.update(entries)
                return name
    mapping.update(entries)
    return path


def _check_references(settings: Settings) -> None:
    """Refuse names that point nowhere, and secrets too short to keep anyone out."""
    _check_models(settings)
    _check_headers(settings)
    _check_router(settings)
    _check_aliases(settings)
    _check_keys(settings)
    fault = next(faults(settings.organisation), None)
    if fault is not None:
        raise SettingsError(fault)
    speaking_openai = {name for name, one in settings.upstreams.items() if isinstance(one, OpenAIUpstream)}
    fault = next(external_guards.faults(settings.guard, speaking_openai), None)
    if fault is not None:
        raise SettingsError(fault)
    _check_cache(settings)
    relay = settings.relay.upstream
    if relay is not None and not isinstance(settings.upstreams.get(relay), OpenAIUpstream):
        raise SettingsError(f"relay.upstream: no upstream of kind openai is called '{relay}'")
    key = settings.encryption_key
    if key is not None and len(key.reveal()) < _MIN_SECRET_CHARACTERS:
        raise SettingsError(f"encryption_key: at least {_MIN_SECRET_CHARACTERS} characters are needed")
    if key is None and settings.encryption_keys_before:
        raise SettingsError("encryption_keys_before: these only open; 'encryption_key' is needed too")


def _check_cache(settings: Settings) -> None:
    cache = settings.cache
    if cache.semantic is True and not cache.exact:
        raise SettingsError("cache.semantic: true needs 'cache.exact: true', which keeps the answers")
    if isinstance(cache.embedder, EmbeddingUpstream):
        name = cache.embedder.upstream
        if not isinstance(settings.upstreams.get(name), OpenAIUpstream):
            raise SettingsError(f"cache.embedder.upstream: no upstream of kind openai is called '{name}'")
    for where, rules in _cache_rules(settings.organisation):
        try:
            read_directives(rules.control.encode("latin-1", "replace"))
        except InvalidRequestError as error:
            raise SettingsError(f"{where}.cache.control: {error.message}") from error
    if cache.audit_judge is not None and cache.audit_judge not in settings.models:
        raise SettingsError(f"cache.audit_judge: no model is called '{cache.audit_judge}'")


def _cache_rules(organisation: OrganisationSettings) -> Iterator[tuple[str, CacheRules]]:
    """Yield what each level says of the cache, and where."""
    levels: list[tuple[str, LevelSettings]] = [("organisation", organisation)]
    for name, team in organisation.teams.items():
        where = f"organisation.teams.{name}"
        levels.append((where, team))
        levels += [(f"{where}.keys[{index}]", key) for index, key in enumerate(team.keys)]
    yield from ((where, level.cache) for where, level in levels if level.cache is not None)


def _check_router(settings: Settings) -> None:
    for tier, candidates in settings.router.tiers.items():
        for index, name in enumerate(candidates):
            if name not in settings.models:
                raise SettingsError(f"router.tiers.{tier}[{index}]: no model is called '{name}'")
            if name in candidates[:index]:
                raise SettingsError(f"router.tiers.{tier}[{index}]: '{name}' stands there twice")
    _check_target(settings.router.target)
    for role in settings.router.roles:
        if not role.isprintable() or not role.isascii() or not role:
            raise SettingsError(f"router.roles: {role!r} cannot be sent in a header")


def _check_target(target: Target) -> None:
    shares = [share for share in (target.simple, target.medium, target.complex) if share is not None]
    if target.quality is not None and shares:
        raise SettingsError("router.target: either shares of tiers or a quality, not both")
    if target.quality is None and not shares:
        raise SettingsError("router.target: name the shares of tiers, or a quality")
    if len(shares) == len(TIERS) and not sum(shares):
        raise SettingsError("router.target: at least one share must be more than 0")
    if len(shares) < len(TIERS) and sum(shares) > 1:
        raise SettingsError("router.target: shares that leave one out must not be more than 1 together")


def _check_models(settings: Settings) -> None:
    if not settings.models:
        raise SettingsError("models: at least one model is needed")
    for name, model in settings.models.items():
        if model.upstream not in settings.upstreams:
            known = ", ".join(settings.upstreams) or "none"
            raise SettingsError(f"models.{name}.upstream: no upstream is called '{model.upstream}' (known: {known})")
        if name == "auto" or name.startswith(("auto/", "team/")):
            raise SettingsError(f"models.{name}: names 'auto', 'auto/...' and 'team/...' belong to the gateway")
        if not name.isprintable():
            raise SettingsError(f"models: {name!r} holds what cannot be sent in a header")


def _check_headers(settings: Settings) -> None:
    """Refuse what cannot be sent in a header: a line end in one would start another."""
    for name, upstream in settings.upstreams.items():
        if isinstance(upstream, EchoUpstream):
            continue
        auth_header = upstream.auth_header if isinstance(upstream, OpenAIUpstream) else "x-api-key"
        sent = {f"headers.{header}": value for header, value in upstream.headers.items()}
        sent["auth_header"] = auth_header
        sent["api_key"] = upstream.api_key.reveal() if upstream.api_key else ""
        for field, value in sent.items():
            if not value.isprintable() or not value.isascii():
                raise SettingsError(f"upstreams.{name}.{field}: only printable ASCII can be sent in a header")
        for header in (auth_header, *upstream.headers):
            if not _HEADER_NAME.fullmatch(header):
                raise SettingsError(f"upstreams.{name}.headers: '{header}' is not the name of a header")


def _check_aliases(settings: Settings) -> None:
    virtual = {"auto", *(f"auto/{tier}" for tier in TIERS)}
    for name, target in settings.aliases.items():
        if name in settings.models or name in virtual:
            raise SettingsError(f"aliases.{name}: a model of that name exists already")
        for arm in (target,) if isinstance(target, str) else target.split:
            if arm not in settings.models and arm not in virtual:
                raise SettingsError(f"aliases.{name}: '{arm}' is neither a model nor auto, auto/simple, ...")
    for index, shadow in enumerate(settings.experiments.shadows):
        where = f"experiments.shadows[{index}]"
        for field, model in (("model", shadow.model), ("judge", shadow.judge)):
            if model is not None and model not in settings.models:
                raise SettingsError(f"{where}.{field}: no model is called '{model}'")
        if shadow.judge == shadow.model:
            raise SettingsError(f"{where}.judge: a model cannot judge its own answers")
        if any(other.model == shadow.model for other in settings.experiments.shadows[:index]):
            raise SettingsError(f"{where}.model: '{shadow.model}' is a shadow already")


def _check_keys(settings: Settings) -> None:
    secrets: dict[str, str] = {}
    admin = settings.server.admin_key
    if admin is not None:
        _check_secret("server.admin_key", admin, secrets)
    for team, entry in settings.organisation.teams.items():
        names = set()
        for index, key in enumerate(entry.keys):
            where = f"organisation.teams.{team}.keys[{index}]"
            if key.name in names:
                raise SettingsError(f"{where}.name: team '{team}' has two keys called '{key.name}'")
            names.add(key.name)
            _check_secret(f"{where}.secret", key.secret, secrets)


def _check_secret(where: str, secret: Secret, seen: dict[str, str]) -> None:
    value = secret.reveal()
    if len(value) < _MIN_SECRET_CHARACTERS:
        raise SettingsError(f"{where}: at least {_MIN_SECRET_CHARACTERS} characters are needed")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise SettingsError(f"{where}: only printable ASCII without spaces can be sent in a header")
    if value in seen:
        raise SettingsError(f"{where}: the same secret as {seen[value]}")
    seen[value] = where


def plain_aliases(settings: Settings) -> dict[str, str]:
    """Return what each alias stands for; one that is split, for its largest arm."""
    return {
        name: target if isinstance(target, str) else max(target.split, key=target.split.__getitem__)
        for name, target in settings.aliases.items()
    }


def prices_of(settings: Settings) -> dict[str, Price | str]:
    """Return each model's price, or the name to look it up by; the offline upstream is free."""
    prices: dict[str, Price | str] = {}
    for name, model in settings.models.items():
        is_free = isinstance(settings.upstreams[model.upstream], EchoUpstream)
        prices[name] = model.price or (FREE if is_free else model.model or name)
    return prices


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the settings file, with the field docs as descriptions."""

    def hook(kind: type) -> dict[str, Any]:
        if kind is Secret:
            return {"type": "string", "format": "password"}
        raise NotImplementedError

    document: dict[str, Any] = msgspec.json.schema(Settings, schema_hook=hook)
    for struct in SECTIONS:
        properties = document["$defs"][struct.__name__]["properties"]
        for field, text in field_docs(struct).items():
            properties[field] = {**properties[field], "description": text}
    _admit_paths(document["$defs"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Tierway settings", **document}


def _admit_paths(structs: dict[str, Any]) -> None:
    """Say that the organisation and its teams may stand in files of their own."""
    path = {"type": "string", "description": "A file with this mapping, by its path relative to the file that names it"}
    whole = structs["Settings"]["properties"]
    described = dict(whole["organisation"])
    whole["organisation"] = {"description": described.pop("description"), "anyOf": [described, path]}
    teams = structs["OrganisationSettings"]["properties"]["teams"]
    teams["additionalProperties"] = {"anyOf": [teams["additionalProperties"], path]}


def field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the docstrings that stand under the fields of a settings struct."""
    docs = {}
    for kind in reversed(struct.__mro__):
        if not (issubclass(kind, msgspec.Struct) and kind.__struct_fields__):
            continue
        body = ast.parse(inspect.getsource(kind)).body[0].body  # type: ignore[attr-defined]
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                docs[field.target.id] = inspect.cleandoc(text.value.value)  # type: ignore[union-attr, attr-defined]
    return docs
