"""Install the `semantic` and `export` extras, taking torch without CUDA where that can be had."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own, documented on its installation page
PROBE_S = 2.0
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
CONSTRAINED = ("--constraint", "constraints.txt")


def main() -> int:
    """Install torch first, then both extras; return the exit code of the step that failed, or 0."""
    code = 0
    if is_installed("torch"):
        say("torch is here already")
    elif sys.platform == "linux" and is_answering(f"{CPU_INDEX}/torch/"):
        say("PyTorch's CPU index answers: torch comes from there")
        code = install("--index-url", CPU_INDEX, "torch")
    else:
        warn_of_cuda(planned("torch"))
        code = install("torch")
    if code == 0:
        say("installing the extras semantic and export (a few minutes) ...")
        code = install("--no-build-isolation", "--editable", ".[semantic,export]")
    if code == 0:
        say("ready")
    return code


def say(sentence: str) -> None:
    """Print one line in the voice of the Makefile."""
    print(f"tierway: {sentence}", flush=True)


def is_installed(distribution: str) -> bool:
    """Tell whether this environment has the distribution, in whatever version."""
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def is_answering(url: str) -> bool:
    """Tell whether the URL answers within PROBE_S seconds, the name look-up included.

    The look-up has no timeout of its own, hence the thread, which is left behind if it hangs.
    """
    answers: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=PROBE_S) as response:  # noqa: S310 - a constant https address
                answers.append(response.status == 200)
        except OSError:
            answers.append(False)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_S)
    return answers == [True]


def install(*arguments: str) -> int:
    """Run `pip install` under the constraints and return its exit code."""
    return subprocess.run([*PIP, "install", "--quiet", *CONSTRAINED, *arguments], check=False).returncode


def planned(requirement: str) -> list[dict[str, Any]]:
    """Return what pip would install, as entries of its installation report; [] if it cannot say."""
    dry_run = [*PIP, "install", "--dry-run", "--quiet", "--report", "-", *CONSTRAINED, requirement]
    done = subprocess.run(dry_run, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        return []
    entries: list[dict[str, Any]] = json.loads(done.stdout)["install"]
    return entries


def warn_of_cuda(entries: list[dict[str, Any]]) -> None:
    """Say so if CUDA packages are among the planned ones, and roughly how large they are."""
    cuda = [entry for entry in entries if str(entry["metadata"]["name"]).lower().startswith(CUDA_PREFIXES)]
    if not cuda:
        say("installing torch, without CUDA packages")
        return
    sizes = [size_bytes(entry["download_info"]["url"]) for entry in cuda]
    size = f"about {sum(sizes) / 1e9:.1f} GB to fetch" if all(sizes) else "several gigabytes to fetch"
    say(f"torch brings {len(cuda)} CUDA packages from here, {size}; nothing needs them, and it goes on")


def size_bytes(url: str) -> int:
    """Return the size of the file behind the URL, or 0 where that is not told."""
    try:
        if url.startswith("file://"):
            return Path(url.removeprefix("file://")).stat().st_size
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - an address that pip chose
        with urllib.request.urlopen(request, timeout=PROBE_S) as response:  # noqa: S310 - the same
            return int(response.headers.get("Content-Length", 0))
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
