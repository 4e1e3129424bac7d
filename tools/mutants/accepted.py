"""The mutants that may live, each with the reason: kept in accepted.toml, and told by their lines, not by numbers."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.mistakes import Mutant

KEPT = Path(__file__).parent / "accepted.toml"


@dataclass(frozen=True, slots=True)
class Accepted:
    """One entry: the lines before and after the mistake, spaces made one, as the tool prints them."""

    file: str
    function: str
    before: str
    after: str
    reason: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """As a mutant's."""
        return self.file, self.function, self.before, self.after


def read(path: Path = KEPT) -> list[Accepted]:
    """Every entry.

    Raises:
        TypeError: a key is missing, or unknown.
        ValueError: it is no TOML, or an entry gives no reason.
    """
    entries = [Accepted(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("accepted", [])]
    for entry in entries:
        if not entry.reason.strip():
            raise ValueError(f"{path.name}: {entry.file} {entry.function}: an accepted mutant needs a reason")
    return entries


def entry(mutant: Mutant) -> str:
    """How a survivor would be written there."""
    keys = {"file": mutant.file, "function": mutant.function, "before": mutant.before, "after": mutant.after}
    lines = [f"{name} = {_quoted(text)}" for name, text in keys.items()]
    return "\n".join(["[[accepted]]", *lines, 'reason = ""'])


def _quoted(text: str) -> str:
    if "'" not in text:
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
