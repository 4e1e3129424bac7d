"""The code that functions run: which modules are its own, and which of them all processes share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

#: Of a module's name: whether it keeps nothing of a process or an invocation, and imports only what keeps nothing.
KeepsNothing = Callable[[str], bool]
#: Modules that keep nothing, by the path of their code: every process has the same ones.
_SHARED: dict[str, dict[str, ModuleType]] = {}


class Code:
    """The code root: its path, and the names of its modules and packages."""

    def __init__(self, root: Path, keeps_nothing: KeepsNothing) -> None:
        self.path = str(root)
        entries = root.iterdir() if root.is_dir() else iter(())
        self._names = {entry.stem for entry in entries if entry.suffix == ".py" or entry.is_dir()}
        self._foreign: set[str] = set()
        self._keeps_nothing = keeps_nothing

    def take_modules(self, known: Mapping[str, ModuleType], expected: int) -> dict[str, ModuleType]:
        """Take our modules out of `sys.modules`; what was there.

        Processes are entered and left at every call, and few import anything: where there are as many modules as were
        `expected`, ours are those that are `known`.
        """
        if len(sys.modules) == expected and all(sys.modules.get(name) is module for name, module in known.items()):
            for name in known:
                del sys.modules[name]
            return dict(known)
        # What is known not to be ours is not looked at again.
        unknown = sys.modules.keys() - self._foreign
        ours = {name for name in unknown if name.partition(".")[0] in self._names}
        self._foreign |= unknown - ours
        return {name: sys.modules.pop(name) for name in ours}

    @property
    def shared(self) -> Mapping[str, ModuleType]:
        """What a process that begins need not make once more."""
        return _SHARED.get(self.path, {})

    def share(self, modules: Mapping[str, ModuleType]) -> None:
        """Keep for other processes what one has made, as far as it keeps nothing; the first one's stays."""
        made = {name: module for name, module in modules.items() if self._keeps_nothing(name)}
        _SHARED[self.path] = made | _SHARED.get(self.path, {})
