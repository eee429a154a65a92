"""What an operator reads of a running gateway: how budgets stand, the ledger, the metrics."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final
from urllib.parse import quote

ADMIN_KEY: Final = "admin-key-of-the-race-0123456789"

Headers = dict[str, str]

_IDLE_S: Final = 30.0
_LOOK_S: Final = 0.05


class Operator:
    """Reads how things stand, as an operator would."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    async def get(self, path: str) -> tuple[Headers, bytes]:
        """Return the headers and the body of an answer; ask again while a store is too slow on a busy machine.

        Raises:
            ValueError: it was an error.
        """
        until = time.monotonic() + _IDLE_S
        while True:
            status, headers, body = await self._ask(path)
            if status == 200:
                return headers, body
            if status != 503 or time.monotonic() > until:
                raise ValueError(f"{path}: {body.decode()}")
            await asyncio.sleep(_LOOK_S)

    async def _ask(self, path: str) -> tuple[int, Headers, bytes]:
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            lines = f"GET {path} HTTP/1.1\r\nhost: race.test\r\nauthorization: Bearer {ADMIN_KEY}\r\n\r\n"
            writer.write(lines.encode())
            status, headers = parsed(await reader.readuntil(b"\r\n\r\n"))
            return status, headers, await reader.readexactly(int(headers["content-length"]))
        finally:
            writer.transport.abort()

    async def used(self, key: str, unit: str = "microusd") -> int:
        """Return what a key's first limit of a unit counts, holds included."""
        _, body = await self.get(f"/admin/policy/effective?key={key}")
        return next(int(limit["used"]) for limit in json.loads(body)["limits"] if limit["unit"] == unit)

    async def recorded(self, key: str = "") -> dict[str, Any]:
        """Return the sums of the ledger over the records of a key, or over all of them."""
        _, body = await self.get("/admin/usage" + (f"?key={key}" if key else ""))
        rows = json.loads(body)["data"]
        return dict(rows[0]) if rows else {"cost_microusd": 0, "under_reserved_microusd": 0, "requests": 0}

    async def records(self, key: str = "") -> list[dict[str, Any]]:
        """Return the records of a key, or all of them."""
        path = "/admin/usage/records?limit=5000" + (f"&key={key}" if key else "")
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            headers, lines = await self.get(path + (f"&after={quote(after)}" if after else ""))
            found += [json.loads(line) for line in lines.splitlines()]
            after = headers.get("x-tierway-next", "")
            if not after:
                return found

    async def metrics(self) -> dict[str, float]:
        """Return every sample of `/metrics`."""
        _, text = await self.get("/metrics")
        samples = (line.rpartition(" ") for line in text.decode().splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    async def idle(self) -> int:
        """Wait until no request goes on; return how many holds are open then."""
        until = time.monotonic() + _IDLE_S
        while True:
            metrics = await self.metrics()
            held = int(metrics['tierway_holds{state="open"}'])
            if (metrics["tierway_in_flight"] == 1 and not held) or time.monotonic() > until:
                return held
            await asyncio.sleep(_LOOK_S)


def parsed(head: bytes) -> tuple[int, Headers]:
    """Return the status and the headers of an answer's head, names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split(" ", 2)[1]), {name.lower(): value.strip() for name, _, value in pairs}
