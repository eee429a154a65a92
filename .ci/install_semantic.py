"""Install the `semantic` extra, and have the embedding model written to disk once.

What writes it, torch above all, is installed in `.venv-export` and removed again: the environment that serves never
holds it, and none of its locked packages changes.

    python .ci/install_semantic.py [--keep] [--out FOLDER] [--model NAME_OR_PATH]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXPORT_VENV = ROOT / ".venv-export"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own, documented on its installation page
PROBE_S = 2.0
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
CONSTRAINED = ("--constraint", str(ROOT / "constraints.txt"))
BASE = ("msgspec", "numpy", "onnxruntime", "tokenizers")
"""What `cache.embedders.export` imports besides the export extra, in the versions that serve."""


def main() -> int:
    """Install, then export unless the artefact is there; return the exit code of the step that failed, or 0."""
    options = _parse()
    began = time.monotonic()
    code = install_serving()
    if code == 0 and not is_exported(options):
        code = export(options)
    if code == 0:
        say(f"ready after {time.monotonic() - began:.0f} s")
    return code


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave .venv-export (about 1.6 GB) where it is")
    parser.add_argument("--out", default="", help="folder to write (default: the user's own)")
    parser.add_argument("--model", default="", help="name or path of a sentence-transformers model")
    return parser.parse_args()


def say(sentence: str) -> None:
    """Print one line in the voice of the Makefile."""
    print(f"tierway: {sentence}", flush=True)


def extra(name: str) -> list[str]:
    """Return the requirements of an extra of the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements: list[str] = project["optional-dependencies"][name]
    return requirements


def install_serving() -> int:
    """Install the semantic extra here. Whatever is installed keeps its version, or the step fails."""
    wanted = extra("semantic")
    say(f"installing {len(wanted)} packages for serving (about 220 MB on disk) ...")
    frozen = subprocess.run([sys.executable, *PIP, "freeze", "--exclude-editable"], check=True, capture_output=True)
    with tempfile.NamedTemporaryFile(suffix=".txt") as held:
        held.write(frozen.stdout)
        held.flush()
        return pip(sys.executable, "--constraint", held.name, *wanted)


def is_exported(options: argparse.Namespace) -> bool:
    """Tell whether a whole artefact of the default model is there. For another model its export tells."""
    if options.model:
        return False
    script = (
        "import sys; from cache.embedders.artefact import *; "
        "folder = find_artefact(sys.argv[1] or DEFAULT_NAME, default_root()); "
        "check_files(folder, read_meta(folder)); print(folder)"
    )
    asked = subprocess.run([sys.executable, "-c", script, options.out], check=False, capture_output=True, text=True)
    if asked.returncode == 0:
        say(f"the embedding model is in {asked.stdout.strip()} already")
    return asked.returncode == 0


def export(options: argparse.Namespace) -> int:
    """Write the artefact from an environment of its own; return the exit code of the step that failed, or 0."""
    say("creating .venv-export, which writes the embedding model")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(EXPORT_VENV)], check=True)
    try:
        python = str(EXPORT_VENV / "bin" / "python")
        code = install_torch(python)
        if code == 0:
            say("installing what loads and writes the model (about half a minute to some minutes) ...")
            same = [f"{name}=={installed}" for name in BASE if (installed := installed_version(name))]
            code = pip(python, *CONSTRAINED, *same, *extra("export"))
        return code or write(python, options)
    finally:
        if not options.keep:
            shutil.rmtree(EXPORT_VENV, ignore_errors=True)


def write(python: str, options: argparse.Namespace) -> int:
    """Run the exporter."""
    arguments = [*([options.out] if options.out else []), *(["--model", options.model] if options.model else [])]
    # The default weights come with a package; asking the hub for news of them would only take time.
    offline = {} if options.model else {"HF_HUB_OFFLINE": "1"}
    command = [python, "-m", "cache.embedders.export", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, **offline}).returncode


def install_torch(python: str) -> int:
    """Install torch, without CUDA where that can be had."""
    if sys.platform == "linux" and is_answering(f"{CPU_INDEX}/torch/"):
        say("PyTorch's CPU index answers: torch comes from there")
        return pip(python, *CONSTRAINED, "--index-url", CPU_INDEX, "torch")
    warn_of_cuda(planned(python, "torch"))
    return pip(python, *CONSTRAINED, "torch")


def installed_version(distribution: str) -> str:
    """Return the version of a distribution of this environment, empty where it is absent."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


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


def pip(python: str, *arguments: str) -> int:
    """Run `pip install` for an interpreter and return its exit code."""
    return subprocess.run([python, *PIP, "install", "--quiet", *arguments], check=False).returncode


def planned(python: str, requirement: str) -> list[dict[str, Any]]:
    """Return what pip would install, as entries of its installation report; [] if it cannot say."""
    dry_run = [python, *PIP, "install", "--dry-run", "--quiet", "--report", "-", *CONSTRAINED, requirement]
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
