"""The admin API: make a key, use it, revoke it. Standard library only.

    export TIERWAY_ADMIN_KEY=...          # the `server.admin_key` of the settings file
    python examples/keys.py http://127.0.0.1:8080

The same from a shell on the gateway's machine: `tierway keys create --team search --name laptop`, `tierway keys list`,
`tierway keys revoke search/laptop`.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any


def call(method: str, url: str, key: str, document: object = None) -> tuple[int, Any]:
    """Send a request and return the answer's status and document."""
    body = None if document is None else json.dumps(document).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310  the address is the operator's
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310  as above
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def main(gateway: str) -> None:
    """Show the life of a key."""
    admin_key = os.environ["TIERWAY_ADMIN_KEY"]
    status, made = call("POST", f"{gateway}/admin/keys", admin_key, {"team": "search", "name": "laptop"})
    if status != 201:
        raise SystemExit(f"not made: {made['error']['message']}")
    print(f"made {made['id']} for {made['team']}/{made['name']}; its key is shown this once: {made['key'][:9]}...")
    status, models = call("GET", f"{gateway}/v1/models", made["key"])
    print(f"with it, /v1/models answers {status}: {[model['id'] for model in models['data']]}")
    _, listed = call("GET", f"{gateway}/admin/keys", admin_key)
    print(f"listed: {[key['name'] for key in listed['data'] if key['revoked_at'] is None]}")
    status, _ = call("DELETE", f"{gateway}/admin/keys/{made['id']}", admin_key)
    print(f"revoked: {status}")
    status, refused = call("GET", f"{gateway}/v1/models", made["key"])
    print(f"with it, /v1/models answers {status}: {refused['error']['message']}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
