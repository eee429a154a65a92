"""How verbs of the command read the ledger of the settings they are given."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from gateway import settings as settings_file
from gateway.cli.base import fail
from gateway.domain.errors import StageUnavailableError
from gateway.settings import Settings
from policies.stores.ledgers.base import LedgerView, TooManyRowsError
from policies.stores.ledgers.embedded import LedgerReader

_T = TypeVar("_T")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that were named, or those that hold without a file."""
    return settings_file.load(arguments.config)[0] if arguments.config else settings_file.built_in()


def ask(settings: Settings, verb: str, question: Callable[[LedgerView], Awaitable[_T]]) -> _T:
    """Return what a ledger answers; a ledger that cannot be read ends the command.

    Args:
        settings: say where it is.
        verb: of the command, for messages.
        question: what is asked of it.
    """
    try:
        return asyncio.run(_ask(settings, question))
    except (StageUnavailableError, TooManyRowsError) as error:
        fail(f"{verb}: {error}")


async def _ask(settings: Settings, question: Callable[[LedgerView], Awaitable[_T]]) -> _T:
    ledger = _open(settings)
    try:
        return await question(ledger)
    finally:
        await ledger.close()


def _open(settings: Settings) -> LedgerView:
    scheme, _, path = settings.state.partition(":///")
    if scheme == "sqlite":
        return LedgerReader(Path(path))
    # Imported here: the client takes a fifth of a second to import, which other verbs should not pay.
    from gateway.redis.address import parse_address  # noqa: PLC0415
    from gateway.redis.connection import RedisConnection  # noqa: PLC0415
    from gateway.redis.slot import slot_key  # noqa: PLC0415
    from policies.stores.ledgers.redis import RedisLedger  # noqa: PLC0415

    organisation = settings.organisation.name
    # Patient: nobody waits for this process but whoever typed the command.
    connection = RedisConnection(
        parse_address(settings.state), slot_key=slot_key(organisation), command_timeout_s=10.0, connect_timeout_s=5.0
    )
    return RedisLedger(connection, organisation)
