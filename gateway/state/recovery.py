"""Settles the holds of a killed process whose consumption it had already written down."""

from __future__ import annotations

import logging

from gateway.domain.errors import StageUnavailableError
from policies.derivation import demand_of
from policies.stores.holds.journal import JournaledHoldStore
from policies.stores.ledgers.embedded import EmbeddedLedger

log = logging.getLogger("tierway")


def settle_recovered(holds: JournaledHoldStore, ledger: EmbeddedLedger) -> int:
    """Settle recovered holds by their records, so that none of these is charged at its ceiling when its lease ends.

    A call is written into the ledger before its hold is settled; a process killed between the two leaves both. On a
    shared Redis the two leave in one write of one connection, and Redis carries out what it received whether or not
    the sender is still there.

    It blocks: for a start only. Where the ledger cannot be read, the holds end by their leases.

    Returns:
        How many were settled.
    """
    if not holds.recovered:
        return 0
    try:
        records = ledger.known(holds.recovered)
    except StageUnavailableError as error:
        log.warning("%d holds of an ended process wait for their leases: %s", len(holds.recovered), error)
        return 0
    settled = sum(holds.settle_now(record.id, demand_of(record)).was_known for record in records)
    log.info("%d holds of an ended process were open, %d settled by the ledger", len(holds.recovered), settled)
    return settled
