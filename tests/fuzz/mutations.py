"""Documents that people and machines might send: good ones, with something in them changed for what breaks readers."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

_LONG = 3_000
#: A list of so many characters may become many times as long, and a document so long in all (Step Functions, "Quotas").
_GROWS, _MOST_CHARACTERS = 200, 256 * 1024

TEXTS = (
    "",
    " ",
    "live\n",
    "$LATEST",
    "7",
    "x" * _LONG,
    "名" * _LONG,
    "\ud800",
    "a\udfffb",
    "\x00",
    "\x1b[2J\x1b[31m",
    "\x9b31m",
    "\u202etxt.evil\u202c",
    "\u2066\u2069\u200f",
    "\ufeff",
    "e\u0301\u200d😀",
    "arn:aws:lambda:us-east-1:123456789012:function:checkout",
    "arn:aws-cn:lambda:cn-north-1:1:function:a:b:c:d",
    "arn:::::::",
    "NaN",
    "Infinity",
    "1e999",
    "2026-01-05T12:00:00.000+0000",
    "2026-01-05",
    "9999-12-31T23:59:59.999999-23:59",
    "0001-01-01T00:00:00+23:59",
    '{"a":' * _LONG,
    "[" * _LONG + "]" * _LONG,
    "{{}}{0}{message}%s%n",
    "Canary10Percent5Minutes",
    "Linear0PercentEvery0Minutes",
    "CodeDeployDefault.LambdaLinear0.01PercentEvery999999999999Minutes",
    "|".join(["[@,@][]"] * 60),
    "|".join(["[@,@]"] * 80) + "|to_string(@)",
    "floor(to_number('inf'))",
    "to_string(@) < length(@)",
    "[::0]",
    "(" * 250,
    "sort_by(@, &a)",
    "`" + "9" * 400 + "` + `1`",
    "'x'|" + "|".join(["join('',[@,@])"] * 25),
)
NUMBERS = (0, -0.0, -1, 1, 0.1, 5e-324, 1e308, 2**31, 2**63, 10**40, 10**400, -(10**400), float("inf"), float("-inf"))
OTHERS = (None, True, False, [], {}, [[]], [None], {"": None}, {"\ud800": 1}, float("nan"))


#: What readers of JSON and YAML may stumble over, in front or in between.
_PIECES = (b"", b",", b"}", b"{", b'"', b"\\", b"\x00", b"\xff", b"\t", b"NaN", b"1e999", b'"force": true, ')
_PIECES += (b"&a *a", b"!!x ", b"2026-99-99", b"? ", b"- ", b"\n", b'"\\UFFFFFFFF"')
_PIECES += (rb"\UFFFFFFFF", rb"\U00110000", rb"\ud800", rb"\xg", rb"\N")
_FRONTS = (b"%YAML 1.9\n---\n", b"%YAML 3.0\n---\n", b"%TAG ! x\n---\n", b"---\n...\n", b"\xef\xbb\xbf")


def deep(levels: int, *, objects: bool = False) -> Any:
    """A value that is nested so deeply."""
    value: Any = None
    for _ in range(levels):
        value = {"a": value} if objects else [value]
    return value


def changed(document: Any, random: Random) -> Any:
    """The document with one to three changes somewhere in it."""
    made = copy.deepcopy(document)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        made = _once(made, random)
    # AWS takes no more of an input: what is longer is refused before it is anybody's.
    return made if len(json.dumps(made)) <= _MOST_CHARACTERS else document


def changed_bytes(text: str, random: Random) -> bytes:
    """A text as it may arrive: cut, doubled, in another encoding, with a mark in front, with a byte of another kind."""
    content = text.encode(random.choice(("utf-8",) * 5 + ("utf-8-sig", "utf-16", "utf-32", "latin-1")), "replace")
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        at = random.randrange(len(content) + 1)
        piece = random.choice(_PIECES)
        until = at + random.choice((0, 1, 1, 8))
        content = content[:at] + piece + content[until:]
    front = random.choice(_FRONTS) if random.random() < 0.05 else b""
    return front + content + content[: random.choice((0, 0, 0, 40))]


def _once(document: Any, random: Random) -> Any:
    places = list(_places(document))
    if not places or random.random() < 0.05:
        return _value(random)
    holder, key = random.choice(places)
    what = random.random()
    if what < 0.6:
        holder[key] = _value(random)
    elif what < 0.75:
        del holder[key]
    elif what < 0.9 and isinstance(holder, dict):
        holder[random.choice((*TEXTS, *map(str, holder)))] = _value(random)
    elif isinstance(holder, list) and len(json.dumps(holder)) < _GROWS:
        holder += [copy.deepcopy(holder[key])] * random.choice((1, 2, 1_100))
    else:
        holder[key] = [holder[key]]
    return document


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from _places(value[key])
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield value, index
            yield from _places(inner)


def _value(random: Random) -> Any:
    kind = random.random()
    if kind < 0.45:
        return random.choice(TEXTS)
    if kind < 0.7:
        return random.choice(NUMBERS)
    if kind < 0.95:
        return copy.deepcopy(random.choice(OTHERS))
    return deep(random.choice((5, 90, 400)), objects=random.random() < 0.5)


def as_json(document: Any) -> str:
    """Its text, with whatever Python has that JSON has not."""
    return json.dumps(document)
