"""The composition root: builds everything once, hands it in, and swaps it as a whole when the settings change."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway import settings as settings_file
from gateway.alerts.watch import open_watch
from gateway.attempts.attempts import keep_retries_quiet
from gateway.bookkeeping import record_expired
from gateway.caching.opening import Caches
from gateway.caching.stage import CacheStage
from gateway.capture.captures import Captures
from gateway.capture.file import folder_of
from gateway.continuity import Continuity
from gateway.domain.embedding import EmbedderUnavailableError
from gateway.domain.errors import StageUnavailableError
from gateway.domain.money import PER_MILLION
from gateway.domain.request import ModelRequest
from gateway.edge.current import Current, Version
from gateway.embedding import SharedEmbedder, why_no_embedder
from gateway.experiments.feedback import Remembered
from gateway.gauges import (
    budget_gauges,
    cache_gauges,
    hold_gauges,
    once_gauges,
    rollout_gauges,
    router_gauges,
    state_gauges,
    upstream_gauges,
)
from gateway.guarding.answers import AnswerGuard
from gateway.guarding.external.caller import GuardCaller
from gateway.guarding.external.guards import ExternalGuards, build_guards
from gateway.guarding.moderation import LocalModeration
from gateway.guarding.own_secrets import secrets_of
from gateway.guarding.scanning import Looker
from gateway.guarding.stage import GuardStage
from gateway.inclusion import FileWatch
from gateway.observation import Observation
from gateway.pipeline import Pipeline, build_once
from gateway.pricing import PriceTable
from gateway.rehearsal.cautions import all_cautions
from gateway.rehearsal.examples import check_examples
from gateway.routing import build_router
from gateway.settings import Settings, SettingsError, prices_of
from gateway.state.base import State, StateSettings
from gateway.state.opening import open_state
from gateway.telemetry import Digester, Metric, Telemetry, counter, gauge, info, standard_output
from gateway.upstreams.base import PlainReply, Upstream
from gateway.upstreams.catalogue import build_upstream
from gateway.upstreams.settings import HttpUpstream
from policies.authenticate import KeyRing
from policies.effective import Policy, PolicyBook, all_plans
from policies.fair_queue import SlotGate
from policies.governor import Governor
from policies.meters import Standing
from policies.rollout import Rollout
from policies.sanitise.output.known import KnownSecrets
from policies.segments import JournalInUseError
from policies.settings import LevelSettings, OrganisationSettings
from policies.staging import StagedPolicies, Trial
from policies.standings import budget_meters, standings
from policies.stores.holds.base import Expired
from policies.stores.keys.base import KeyRecord
from policies.throttle import LoginThrottle
from router.learned import Learned
from router.tiers import Router

log = logging.getLogger("tierway")

KEY_POLL_S: Final = 0.5
"""Seconds between looks at the key store: a key revoked elsewhere is refused within a second."""

TURN_S: Final = 0.0005
"""Seconds that a thread which reads settings keeps requests waiting."""

FILE_POLL_S: Final = 1.0
"""Seconds between looks at the settings file."""

BUILT_IN: Final = "built-in"

ROLLOUT_POLL_S: Final = 1.0
"""Seconds between looks at whether new rules come into force, or are taken back."""

SHARE_POLL_S: Final = 0.5
"""Seconds between two words to other replicas on what providers leave: many calls share a minute's limit."""

LEARNING_SAVE_S: Final = 60.0
"""Seconds between two savings of what is known of the traffic; a restart forgets no more."""

FAILED_BELOW: Final = 0.5
"""Scores of feedback below this say that the tier was not good enough."""

MAX_CAUTIONS: Final = 20
"""How many rules that can never take effect are logged at load; `tierway check` shows all."""


class Gateway:
    """The running gateway: what is kept across versions of the settings, and the version served now.

    Args:
        settings: the first version.
        fingerprint: the hash of the file it came from.
        host: the address listened on, which decides whether a gateway without keys is open to `demo`.
        path: the settings file to watch, None for none.
        shares_output: whether other processes write to the same standard output.
        tells_of_budgets: whether this process sends the alerts of budgets, which all that share them see alike.

    Raises:
        SettingsError: an upstream's files cannot be read, or nobody could ever be let in.
    """

    def __init__(
        self,
        settings: Settings,
        fingerprint: str,
        *,
        host: str,
        path: Path | None = None,
        tells_of_budgets: bool = True,
        shares_output: bool = False,
    ) -> None:
        # Looked at before anything takes time: an edit made meanwhile is seen.
        self._watch = None if path is None else FileWatch(partial(settings_file.files, path))
        check_examples(settings)
        keep_retries_quiet()
        self._path = path
        self._host = host
        self._rollout = Rollout(settings.organisation)
        self._changing = asyncio.Lock()
        self._settings = settings
        self._upstreams: dict[str, Upstream] = {}
        self._gates: dict[str, SlotGate] = {}
        self._learned = Learned(settings.router, settings.models)
        self._embedder = SharedEmbedder(self._find_upstream)
        self._looker = Looker(self._embedder.measured)
        self._others = ExternalGuards()
        self._has_new_version = asyncio.Event()
        self._is_built = False
        self._background: set[asyncio.Task[None]] = set()
        self._standings: list[Standing] = []
        self.alerts = open_watch(settings.telemetry.alerts, self.budgets if tells_of_budgets else None)
        self._state = _open_state(settings)
        self.keys = self._state.keys
        self.captures = Captures(folder_of(settings.state), settings.encryption_key)
        self._once = build_once(self._state.once)
        self._caches = Caches(
            self._state.cached,
            secret=settings.encryption_key,
            ask=self._ask_aside,
            ceiling=self._ceiling_aside,
            embedder=self._embedder,
        )
        self._governor = Governor(self._state.holds)
        self.throttle = LoginThrottle()
        log_to = standard_output() if settings.telemetry.log.format == "json" else None
        telemetry = Telemetry(settings.telemetry.metrics.label_top_n, log_to, log_is_shared=shares_output)
        self._stored_keys: Sequence[KeyRecord] = ()
        self._keys_version: int | None = None
        with suppress(StageUnavailableError):  # `refresh_keys` tells of it, and learns them when they are there
            self._stored_keys = self.keys.load()
            self._keys_version = self.keys.version()
        self._rules: dict[tuple[str, str], LevelSettings] = {}
        self._learn_rules()
        self._ring = self._make_ring(settings)
        if not is_loopback(host) and not self._ring.has_keys():
            message = "listening on an address other than loopback needs at least one key: add one to the settings file"
            raise SettingsError(f"server.host: {message} or run `tierway keys create --team TEAM --name NAME`")
        version = self._build(settings, fingerprint)
        self.current = Current(
            version,
            telemetry=telemetry,
            keys=self.keys,
            throttle=self.throttle,
            refresh_keys=self.refresh_keys,
            governor=self._governor,
            alerts=self.alerts,
            state=self._state,
            captures=self.captures,
            moderation=LocalModeration(self._looker),
            digester=_digester(settings),
        )
        self._is_built = True
        self._state.memory.learners.append(self._learn_feedback)
        telemetry.show_also(self._gauges)

    @property
    def is_open(self) -> bool:
        """Whether anyone is the caller `demo`."""
        return self._ring.is_open

    @property
    def unpriced(self) -> list[str]:
        """Models whose cost is not known."""
        return self._prices.unpriced

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run what goes on beside requests; on leaving, close everything."""
        tasks = [
            asyncio.create_task(self._follow_keys()),
            asyncio.create_task(asyncio.to_thread(self.throttle.prepare)),
            *map(asyncio.create_task, self._state.tasks()),
            asyncio.create_task(self._governor.run(self._note_expired)),
            asyncio.create_task(self.alerts.run()),
            asyncio.create_task(self._follow_rollout()),
            asyncio.create_task(self._follow_learning()),
            asyncio.create_task(self._run_experiments()),
            asyncio.create_task(self.captures.sweep()),
            asyncio.create_task(asyncio.to_thread(_log_cautions, self._settings)),
        ]
        if self._watch is not None:
            tasks.append(asyncio.create_task(self._follow_file(self._watch)))
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload_soon)
        learned = await self._state.learning.load()
        if learned:
            self._learned.traffic.recall(learned)
        self._prepare_scoring()
        await self._caches.serve(self.current.version.pipeline.cache)
        self._prepare_opinions()
        try:
            yield
        finally:
            for task in (*tasks, *self._background):
                task.cancel()
            await asyncio.gather(*tasks, *self._background, return_exceptions=True)
            for upstream in self._upstreams.values():
                await upstream.close()
            await self._others.close()
            await self.alerts.close()
            await self.captures.close()
            await self._once.close()
            await self._caches.close()
            self._embedder.close()
            await self._save_learning()
            await self._state.close()
            self.current.telemetry.close()

    async def refresh_keys(self) -> None:
        """Take in the keys of the store. A store that cannot be read leaves the last good keys in force."""
        try:
            version = await asyncio.to_thread(self.keys.version)
            if version != self._keys_version or "keys" in self.current.degraded:
                self._stored_keys = await asyncio.to_thread(self.keys.load)
                self._keys_version = version
                self._ring.replace(self._stored_keys)
                self._learn_rules()
            self.current.degraded.pop("keys", None)
        except Exception as error:  # noqa: BLE001  the last good keys serve; told by /readyz
            if "keys" not in self.current.degraded:
                log.warning("the key store cannot be read, the last good keys stay in force: %s", type(error).__name__)
            self.current.degraded["keys"] = "the key store cannot be read; the last good keys are in force"

    async def budgets(self) -> list[Standing]:
        """Return how the budgets of the organisation, its teams and keys stand."""
        book = self.current.version.pipeline.policies
        keys = [(one.team, one.name) for one in self._stored_keys if one.revoked_at is None]
        keys += [(team, key.name) for team, word in book.organisation.teams.items() for key in word.keys]
        meters = await asyncio.to_thread(budget_meters, book, keys)
        self._standings = await standings(self._governor.store, meters)
        return self._standings

    async def reload(self) -> None:
        """Serve the settings file as it stands now; keep what is served when it cannot be used."""
        async with self._changing:
            with _taking_turns():
                await self._reload()

    async def _reload(self) -> None:
        assert self._path is not None  # noqa: S101  only called with a file
        current = self.current
        try:
            settings, fingerprint = await asyncio.to_thread(settings_file.load, self._path)
            if fingerprint == current.version.fingerprint:
                current.reload_error = self._rollout.complaint or None
                return
            await asyncio.to_thread(check_examples, settings)
            self._warn_of_restarts(settings)
            step = await asyncio.to_thread(self._rollout.plan, settings.organisation)
            settings = msgspec.structs.replace(settings, organisation=step.in_force)
            ring = await asyncio.to_thread(self._make_ring, settings)
            if not is_loopback(self._host) and not ring.has_keys():
                raise SettingsError("organisation: the last key is gone, and this address needs at least one")  # noqa: TRY301
            before, guards_before = dict(self._upstreams), self._others
            version = await asyncio.to_thread(self._build, settings, fingerprint, ring, step.tried)
        except (SettingsError, OSError, ssl.SSLError) as error:
            if current.reload_error != str(error):
                current.telemetry.reloads["failed"] += 1
                log.error("settings not reloaded, the last good ones stay in force: %s", error)  # noqa: TRY400  it is a user's typo, not a crash
            current.reload_error = str(error)
            return
        self._rollout.begin(step)
        self._ring, self._settings = ring, settings
        current.version = version
        await self._caches.serve(version.pipeline.cache)
        self._prepare_opinions()
        self._has_new_version.set()
        self._tell_of_rollout()
        current.telemetry.reloads["ok"] += 1
        log.info("settings reloaded, now %s", fingerprint)
        if step.tried is not None:
            log.info("its rules are tried for %g s beside those in force", step.tried.staging.shadow_s)
        self._run_beside(asyncio.to_thread(_log_cautions, settings))
        for name, upstream in before.items():
            if self._upstreams.get(name) is not upstream:
                self._retire(upstream)
        for guard in guards_before.without(self._others):
            self._retire(guard)

    async def _follow_rollout(self) -> None:
        """Serve new rules when their trial is over, and the old ones again when they deny too much."""
        while True:
            await asyncio.sleep(ROLLOUT_POLL_S)
            async with self._changing:
                if self._rollout.tick():
                    await self._serve_rules()

    async def _serve_rules(self) -> None:
        """Serve the rules that are in force now, with everything else as it is."""
        settings = msgspec.structs.replace(self._settings, organisation=self._rollout.in_force)
        ring = self._make_ring(settings)
        version = await asyncio.to_thread(self._build, settings, self.current.version.fingerprint, ring)
        self._ring, self._settings = ring, settings
        self.current.version = version
        self._has_new_version.set()
        self._tell_of_rollout()
        if self._rollout.complaint:
            log.error("%s", self._rollout.complaint)
        else:
            log.info("the organisation's new rules are in force")

    async def _follow_learning(self) -> None:
        """Tell other replicas of providers' limits and hear of theirs, and keep what is known of the traffic."""
        store, saved_at = self._state.learning, time.monotonic()
        while True:
            await asyncio.sleep(SHARE_POLL_S)
            if self._learned.mirror.is_known:
                for told in await store.swap(self._learned.mirror.snapshot()):
                    self._learned.mirror.merge(told)
            if time.monotonic() - saved_at >= LEARNING_SAVE_S:
                saved_at = time.monotonic()
                await self._save_learning()

    async def _save_learning(self) -> None:
        learned = self._learned.traffic.dump()
        if learned is not None:
            await self._state.learning.save(learned)

    def _prepare_scoring(self) -> None:
        """Load the scorer where prompts will be scored, before anyone waits for it: 0.1 s."""
        router = self._settings.router
        if router.strategy == "by_complexity" and any(router.tiers.values()):
            self._learned.traffic.calibrator.thresholds()

    def _tell_of_rollout(self) -> None:
        """Say whether the rules of the file are those that are served, or will be."""
        current, complaint = self.current, self._rollout.complaint
        current.reload_error = complaint or None
        if complaint:
            current.degraded["policy"] = complaint
        else:
            current.degraded.pop("policy", None)

    def _policies(
        self, organisation: OrganisationSettings, tried: OrganisationSettings | None, router: Router
    ) -> tuple[PolicyBook, Trial | None]:
        """Return the policies in force, and what judges requests by those that are tried."""
        if tried is None:
            return PolicyBook(organisation, self._rules), None
        book = PolicyBook(tried, self._rules)
        trial = Trial(book, partial(_permits, router), self._governor.store.standing, self._rollout.tally)
        return StagedPolicies(organisation, book, self._rules), trial

    def _build(
        self,
        settings: Settings,
        fingerprint: str,
        ring: KeyRing | None = None,
        tried: OrganisationSettings | None = None,
    ) -> Version:
        """Build a pipeline; parts whose settings did not change are kept, with their connections and contents."""
        served = self._settings if self._upstreams else None
        upstreams = {}
        for name, upstream_settings in settings.upstreams.items():
            if served is not None and served.upstreams.get(name) == upstream_settings:
                upstreams[name] = self._upstreams[name]
                continue
            try:
                upstreams[name] = build_upstream(name, upstream_settings)
            except (OSError, ssl.SSLError, ValueError) as error:
                raise SettingsError(f"upstreams.{name}: {error}") from error
        try:
            others = build_guards(settings.guard.external, settings.upstreams, self._others)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise SettingsError(f"guard.external: {error}") from error
        cache = self._build_cache(settings)
        self._prices = PriceTable(prices_of(settings))
        self._upstreams, self._others = upstreams, others
        learned = self._learned.adapted(settings.router, settings.models)
        router = build_router(settings, self._prices, learned)
        policies, trial = self._policies(settings.organisation, tried, router)
        self._looker.prepare(all_plans(settings.organisation))
        observation = self._observe(settings)
        pipeline = Pipeline(
            authenticator=ring or self._ring,
            guard=GuardStage(policies, self._looker, others),
            answer_guard=AnswerGuard(KnownSecrets(secrets_of(settings))),
            limiter=self._governor,
            ledger=self._state.ledger,
            gates=self._update_gates(settings),
            policies=policies,
            rollout=self._rollout,
            trial=trial,
            router=router,
            cache=cache,
            models=settings.models,
            upstreams=upstreams,
            prices=self._prices,
            continuity=Continuity(self._state.stored, settings.models),
            learned=learned,
            once=self._once,
            assigner=observation.assigner,
            relays_to=settings.relay.upstream,
            relay_prices={name: round(usd * PER_MILLION) for name, usd in settings.relay.prices.items()},
        )
        self._learned = learned
        return Version(settings, pipeline, observation, fingerprint, time.time())

    def _build_cache(self, settings: Settings) -> CacheStage:
        try:
            return self._caches.stage(
                settings.cache, settings.models, settings.aliases, settings.router, settings.upstreams
            )
        except ValueError as error:
            raise SettingsError(f"cache.semantic: {error}") from error

    def _prepare_opinions(self) -> None:
        """Have the embedder loaded where the guard asks for a second opinion, and it is there to be asked."""
        settings = self._settings
        judges = any(plan.needs_injection for plan in all_plans(settings.organisation))
        if judges and isinstance(settings.cache.embedder, str) and why_no_embedder(settings.cache.embedder) is None:
            self._run_beside(self._open_embedder(settings.cache.embedder))

    async def _open_embedder(self, wanted: str) -> None:
        with suppress(EmbedderUnavailableError):  # the first opinion stands; whoever needs it more says why
            await self._embedder.open(wanted)

    def _find_upstream(self, name: str) -> Upstream | None:
        return self._upstreams.get(name)

    def _observe(self, settings: Settings) -> Observation:
        """Return what learns from requests; experiments that did not change go on."""
        before = self.current.version.observation if self._is_built else None
        return Observation(
            settings, ask=self._ask_aside, ceiling=self._ceiling_aside, memory=self._state.memory, before=before
        )

    async def _ask_aside(self, request: ModelRequest, name: str) -> tuple[PlainReply, int | None]:
        return await self.current.version.pipeline.ask_aside(request, name)

    def _ceiling_aside(self, request: ModelRequest, name: str) -> int:
        return self.current.version.pipeline.router.ceiling_microusd(request, name)

    def _learn_feedback(self, remembered: Remembered, score: float, replaced: float | None) -> None:
        """Learn what a caller has said of an answer."""
        self.current.version.observation.experiments.learn(remembered, score, replaced)
        if replaced is None and remembered.failure is not None and remembered.tier is not None:
            traffic, has_failed = self._learned.traffic, score < FAILED_BELOW
            traffic.learn(remembered.kind, remembered.tier, remembered.failure, failed=has_failed)
        if remembered.entry and score < FAILED_BELOW:
            self._run_beside(self._purge(remembered.entry))

    async def _purge(self, entry_id: str) -> None:
        """Forget an answer of the cache that a caller has called bad."""
        await self.current.version.pipeline.cache.report_wrong(entry_id)

    async def _run_experiments(self) -> None:
        """Run the experiments of the settings that are served, and those of the next ones after them."""
        while True:
            self._has_new_version.clear()
            running = asyncio.create_task(self.current.version.observation.experiments.run())
            try:
                await self._has_new_version.wait()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    def _update_gates(self, settings: Settings) -> dict[str, SlotGate]:
        """Return the places at each upstream, where requests may wait for one; those that are taken stay taken."""
        queue = settings.organisation.queue
        if queue is None:
            return {}
        for name, upstream in settings.upstreams.items():
            if not isinstance(upstream, HttpUpstream):
                continue
            gate = self._gates.setdefault(name, SlotGate(upstream.max_connections, queue.max_length))
            gate.resize(upstream.max_connections)
            gate.queue.max_length = queue.max_length
        return {name: gate for name, gate in self._gates.items() if name in settings.upstreams}

    def _make_ring(self, settings: Settings) -> KeyRing:
        ring = KeyRing(settings.organisation, may_be_open=is_loopback(self._host), throttle=self.throttle)
        ring.replace(self._stored_keys)
        return ring

    def _learn_rules(self) -> None:
        """Take over the rules of the stored keys; those that did not change stay the same objects."""
        rules = {(one.team, one.name): one.rules for one in self._stored_keys if one.revoked_at is None}
        for name in self._rules.keys() - rules.keys():
            del self._rules[name]
        for name, found in rules.items():
            if self._rules.get(name) != found:
                self._rules[name] = found

    def _warn_of_restarts(self, settings: Settings) -> None:
        for name in ("server", "state", "encryption_key", "encryption_keys_before", "telemetry"):
            if getattr(settings, name) != getattr(self._settings, name):
                log.warning("changes of '%s' take effect with the next start", name)

    def _retire(self, upstream: Upstream | GuardCaller) -> None:
        """Close an upstream, or a guard, that is no longer served, once its calls have had their time."""

        async def close_later() -> None:
            await asyncio.sleep(self._settings.server.drain_s)
            await upstream.close()

        self._run_beside(close_later())

    def _run_beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done beside requests, and ended with the gateway."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _follow_keys(self) -> None:
        while True:
            await asyncio.sleep(KEY_POLL_S)
            await self.refresh_keys()

    async def _follow_file(self, watch: FileWatch) -> None:
        """Reload when the content of the file, or of one that it includes, may have changed."""
        while True:
            await asyncio.sleep(FILE_POLL_S)
            if await asyncio.to_thread(watch.has_changed):
                with suppress(Exception):
                    await self.reload()

    def _reload_soon(self) -> None:
        """Reload now, as SIGHUP asks."""
        self._run_beside(self.reload())

    async def _note_expired(self, expired: Expired) -> None:
        """Write down a hold that ended by its lease: its process was killed before it could settle."""
        log.warning("a hold ended unsettled", extra={"hold_id": expired.hold_id, "charged": expired.charged})
        if self._state.ledger is not None:
            await self._state.ledger.append(record_expired(expired, self._settings.organisation.name, time.time()))

    def _gauges(self) -> Iterable[Metric]:
        version = self.current.version
        yield info("tierway_config_info", "The settings that are served.", {"hash": version.fingerprint})
        yield from upstream_gauges(self._upstreams)
        yield from state_gauges(self._state)
        yield from cache_gauges(version.pipeline.cache)
        yield from once_gauges(self._once)
        yield from self.alerts.gauges()
        yield from self.captures.gauges()
        yield from self._others.gauges()
        most = self._settings.telemetry.metrics.label_top_n
        yield from budget_gauges(self._standings, self.alerts.forecasts(), most)
        yield from hold_gauges(self._governor)
        yield from rollout_gauges(self._rollout)
        yield from version.observation.gauges()
        yield from router_gauges(version.pipeline.router, version.pipeline.learned)
        degraded = dict.fromkeys(self.current.look(), 1.0)
        yield gauge("tierway_degraded", "Parts that do not work as they should.", "part", degraded)
        failures = {
            "route": float(version.pipeline.router.failures),
            "look_up": float(version.pipeline.cache.failures),
        }
        yield counter("tierway_stage_failures", "Failures of stages that let a request go on.", "stage", failures)


@contextmanager
def _taking_turns() -> Iterator[None]:
    """Have threads take turns every half millisecond, not every five.

    Reading 10,000 keys is half a second of a thread's time, and the loop asks for its turn several times a request.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _open_state(settings: Settings) -> State:
    organisation, ledger = settings.organisation, settings.telemetry.ledger
    wanted = StateSettings(
        address=settings.state,
        organisation=organisation.name,
        on_expiry=organisation.holds.on_expiry,
        encryption_key=settings.encryption_key,
        earlier_keys=settings.encryption_keys_before,
        ledger_days=ledger.keep_days if ledger else None,
    )
    try:
        return open_state(wanted)
    except JournalInUseError as error:
        message = "another process has its files open, and they serve one; several processes need redis"
        raise SettingsError(f"state: {message}") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"state: {error}") from error


def _digester(settings: Settings) -> Digester | None:
    """Return what makes digests of prompts for the log, None where it is to tell nothing of them."""
    if settings.telemetry.log.content == "none":
        return None
    return Digester(settings.encryption_key, settings.organisation.name)


def _permits(router: Router, request: ModelRequest, policy: Policy) -> object:
    """Let pass what some tier that a policy allows may answer; see `Trial`."""
    return router.options(request, policy.tiers, may_degrade=bool(policy.degrading))


def _log_cautions(settings: Settings) -> None:
    for caution in islice(all_cautions(settings), MAX_CAUTIONS):
        log.warning("settings: %s", caution)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
