"""Documents that people write: in JSON or YAML, whatever their editor put in front; all else is one plain sentence."""

import io
import json
from pathlib import Path

import pytest

from tidegate.terminal import documents
from tidegate.terminal.documents import Unreadable

REQUEST = {
    "function_name": "checkout",
    "alias_name": "live",
    "version": "7",
    "steps": [{"weight": 0.5, "bake_seconds": 60}],
}
AS_YAML = """# a comment
function_name: checkout
alias_name: live
version: "7"
steps:
  - {weight: .5, bake_seconds: 60}
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(
    ("name", "text"), [("a.json", json.dumps(REQUEST)), ("a.yaml", AS_YAML), ("a.YML", AS_YAML), ("", AS_YAML)]
)
def test_json_and_yaml_in_any_encoding_of_unicode_say_the_same(name, text, encoding):
    assert documents.read(text.encode(encoding), name) == REQUEST


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "a: on\nb: 2026-01-05\nc: 1:30\nd: 0o7\ne: 1_000",
            {"a": "on", "b": "2026-01-05", "c": "1:30", "d": "0o7", "e": "1_000"},
        ),
        ("a: ~\nb: null\nc:\nd: true\ne: 'true'", {"a": None, "b": None, "c": None, "d": True, "e": "true"}),
        ("a: 1\nb: -2\nc: 1e3\nd: '1'", {"a": 1, "b": -2, "c": 1000.0, "d": "1"}),
    ],
)
def test_yaml_means_what_json_could_say(text, value):
    assert documents.read(text.encode(), "a.yaml") == value


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.json", b"", "is not JSON: it is empty"),
        ("a.json", b'{"a": 1,}', "is not JSON: line 1, column "),
        ("a.json", b'{"a": 1\n "b": 2}', "line 2, column 2: a comma, or the end of the list or object, is missing"),
        ("a.json", b"{a: 1}", "line 1, column 2: a key in double quotes is missing"),
        ("a.json", b'{"a": 1} x', "line 1, column 10: something follows the end"),
        ("a.json", b'{"a": NaN, "b": -Infinity}', "cannot be used: NaN is no number; -Infinity is no number"),
        (
            "a.json",
            b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 2}',
            "the key 'c' is there twice; the key 'a' is there twice",
        ),
        ("a.json", b"[" * 100_000, "is nested too deeply"),
        ("a.json", b"9" * 5_000, "is not JSON: a number has too many digits"),
        ("a.json", b'{"a": "\xff"}', "is no text in UTF-8: byte 8 cannot be read"),
        ("a.yaml", b"", "is not YAML: it is empty"),
        ("a.yaml", b"a: 1\n b: 2", "is not YAML: line 2, column 3: it cannot be read from there on"),
        ("a.yaml", b"a: 1\na: 2", "line 2: the key 'a' is there twice"),
        ("a.yaml", b"a: 1\nb:\n  [1]: 2\n", "line 3: a key is no text"),
        ("a.json", b'{"a": "\x00"}', r"column 8: the text has a control character in it: write it as \u0000"),
        ("a.json", b'{"a": "\t"}', r"the text has a line's end or a tab in it: write \n or \t"),
        ("a.yaml", b"a: [1]\nb: [*x, *x]", "line 2, column 5: an alias (*) is not understood: write it out"),
        ("a.yaml", b"a: &x [1]\nb: [*x, *x]", "line 1, column 4: an anchor (&) is not understood: leave it out"),
        ("a.yaml", b"a: &x b", "line 1, column 4: an anchor (&) is not understood: leave it out"),
        ("a.yaml", b"&x a: b", "line 1, column 1: an anchor (&) is not understood: leave it out"),
        ("a.yaml", b"a: !!python/name:os.system x", "a tag (!) is not understood"),
        ("a.yaml", b"[1]: 2", "line 1: a key is no text"),
        ("a.yaml", b"a: 1\n---\nb: 2", "is not YAML: line 2"),
        ("a.yaml", b"a: \x07", "is not YAML: it has a character that no text should have"),
        ("a.yaml", b"[" * 100_000, "is nested too deeply"),
        ("a.yaml", rb'a: "\UFFFFFFFF"', r"is not YAML: it has an escape (\x, \u or \U) that is no character"),
        ("a.yaml", rb'a: "\U00110000"', r"is not YAML: it has an escape (\x, \u or \U) that is no character"),
        ("a.yaml", b"%YAML 1.9\n---\na: 1", "a %YAML line of no version"),
        ("a.yaml", b"%YAML " + b"9" * 5_000 + b".1\n---\na: 1", "a %YAML line of no version"),
        ("a.yaml", b"a: 1e999\nb: -1e999", "the number 1e999 is too large; the number -1e999 is too large"),
        ("a.yaml", b"a: " + b"9" * 401, "cannot be used: the number 9"),
        ("a.json", b'{"a": [1e999, -1e999]}', "the number 1e999 is too large; the number -1e999 is too large"),
        ("a.json", b"1" + b"0" * 400 + b".5", "cannot be used: the number 10"),
    ],
)
def test_anything_else_is_one_plain_sentence(name, content, why):
    with pytest.raises(Unreadable) as refused:
        documents.read(content, name)
    assert why in str(refused.value)


@pytest.mark.parametrize("name", ["request.yaml", "request.json", "/dev/zero", None])
def test_what_is_larger_than_a_request_may_be_is_refused_before_it_is_parsed(name, tmp_path, monkeypatch):
    larger = b"a: [1]\n" * 40_000
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(larger)))
    path = name and tmp_path / name
    if name and not Path(name).exists():
        path.write_bytes(larger)
    with pytest.raises(Unreadable, match=r"^has more than 262,144 bytes, which is the most a request may have$"):
        documents.taken(path)


def test_what_is_as_large_as_a_request_may_be_is_read(tmp_path):
    path = tmp_path / "request.json"
    path.write_bytes(b" " * documents.MAX_REQUEST_BYTES)
    assert len(documents.taken(path)) == documents.MAX_REQUEST_BYTES


def test_a_standard_input_that_is_closed_is_told_as_such(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(Unreadable, match=r"^cannot be read: it is closed$"):
        documents.taken(None)


def test_a_document_of_many_keys_is_read_in_a_moment():
    keys = {f"{number}": 0 for number in range(25_000)}
    assert documents.read(json.dumps(keys, separators=(",", ":")).encode(), "a.json") == keys
