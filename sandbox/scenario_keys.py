"""The keys that a scenario knows, for whoever misspelled one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import Tag


def nearest(whole: type[Any], place: Sequence[int | str]) -> str | None:
    """The known key that the unknown one at a place of `whole` may stand for.

    The place is pydantic's, so it names the members of unions, too, by their tags.
    """
    *object_place, key = place
    inside: list[tuple[str | None, type[Any]]] = [(None, whole)]
    for step in object_place:
        if step in {tag for tag, _ in inside}:
            inside = [(tag, shape) for tag, shape in inside if tag == step]
        elif isinstance(step, str):
            fields = [shape.__pydantic_fields__.get(step) for _, shape in inside]
            inside = [member for field in fields if field for member in _members(field.annotation)]
    known = {name for _, shape in inside for name in shape.__pydantic_fields__}
    longer = [name for name in known if name.startswith(f"{key}_")]
    found = get_close_matches(str(key), longer, n=1, cutoff=0) or get_close_matches(str(key), known, n=1, cutoff=0.7)
    return found[0] if found else None


def _members(annotation: Any, tag: str | None = None) -> Iterator[tuple[str | None, type[Any]]]:
    if isinstance(annotation, type) and is_dataclass(annotation):
        yield tag, annotation
    inner = get_args(annotation)
    own = next((each.tag for each in inner if isinstance(each, Tag)), tag)
    for each in inner:
        yield from _members(each, own)
