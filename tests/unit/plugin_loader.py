"""Imports Ansible's plugins, which are no part of a package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def load_plugin(path: str) -> ModuleType:
    """Return the plugin at `path`, which counts from the repository's root."""
    spec = importlib.util.spec_from_file_location(f"plugin_{Path(path).stem}", ROOT / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
