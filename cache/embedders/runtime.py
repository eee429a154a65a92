"""onnxruntime, imported here and nowhere else, because it matters how.

- Official builds report events to Microsoft, and write a device id below `~/.cache`, from the moment they are imported;
  `disable_telemetry_events` comes too late for both (Privacy.md in the package, 1.32). A gateway tells nobody what it
  runs, so it is turned off before.
- usearch carries its own copy of the C++ library and exports it. In a process that loads usearch first, onnxruntime
  crashes while it is imported (usearch 2.26, onnxruntime 1.32, Linux); the other order works. Whoever imports usearch
  imports this first.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime  # type: ignore[import-untyped]  # after the line above, which it reads

__all__ = ["onnxruntime"]
