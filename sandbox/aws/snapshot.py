"""What an account of moto's holds, kept so that another account can begin with it: quicker than the calls that made it.

Kept is everything in moto's backends, and whatever else is given, in one pickle: what refers to one another still does.
"""

from __future__ import annotations

import io
import pickle
import threading
from collections import defaultdict
from dataclasses import dataclass
from types import FunctionType
from typing import Any
from weakref import WeakValueDictionary

from moto.core.base_backend import BackendDict

_LOCK = type(threading.RLock())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`shared` is what is no account's own, and not copied: moto's tables of backends, and functions."""

    pickled: bytes
    shared: tuple[Any, ...]

    @classmethod
    def of(cls, beside: Any) -> Snapshot:
        """The account as it is now, and a value beside it."""
        buffer = io.BytesIO()
        pickler = _Pickler(buffer, pickle.HIGHEST_PROTOCOL)
        tables: list[Any] = list(BackendDict._instances)  # type: ignore[misc] # moto's own words too
        held = [(table, account, dict(table[account])) for table in tables for account in table]
        pickler.dump((held, beside))
        return cls(buffer.getvalue(), tuple(pickler.shared.values()))

    def restore(self) -> Any:
        """Make an account that is empty hold a copy of it all; a copy of the value beside it."""
        held, beside = _Unpickler(self).load()
        for table, account, backends in held:
            table[account].update(backends)
        return beside


class _Pickler(pickle.Pickler):
    """Knows what moto's backends hold beyond plain objects. `shared` is in the order of its numbers."""

    def __init__(self, file: io.BytesIO, protocol: int) -> None:
        super().__init__(file, protocol)
        self.shared: dict[int, Any] = {}

    def persistent_id(self, value: Any) -> int | None:
        """The number of what is shared: a function closes over nothing, or it would carry the account along."""
        if not isinstance(value, BackendDict) and not (isinstance(value, FunctionType) and value.__closure__ is None):
            return None
        self.shared.setdefault(id(value), value)
        return list(self.shared).index(id(value))

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, _LOCK):
            return threading.RLock, ()
        if isinstance(value, WeakValueDictionary):
            return WeakValueDictionary, (), None, None, iter(list(value.items()))
        if isinstance(value, defaultdict) and type(value) is not defaultdict:
            return _defaults, (type(value), value.default_factory), vars(value), None, iter(value.items())
        return NotImplemented


def _defaults(kind: type[defaultdict[Any, Any]], factory: Any) -> defaultdict[Any, Any]:
    """An empty one, whatever else its own class would ask for."""
    made = kind.__new__(kind)
    made.default_factory = factory
    return made


class _Unpickler(pickle.Unpickler):
    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(io.BytesIO(snapshot.pickled))
        self._shared = snapshot.shared

    def persistent_load(self, number: Any) -> Any:
        return self._shared[number]
