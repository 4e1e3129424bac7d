"""Modules that are imported when something of them is first asked for: what draws takes longer than most commands."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


def later(name: str) -> ModuleType:
    """That module (Python's library reference, importlib, "Implementing lazy imports")."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if not isinstance(spec, ModuleSpec) or spec.loader is None:
        raise ModuleNotFoundError(f"no module {name}", name=name)
    spec.loader = loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module
