"""What others wrote is shown so that it can do nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.printable import one_line, printable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain, schön 名 😀 → “…”", "plain, schön 名 😀 → “…”"),
        ("two\nlines", "two\nlines"),
        ("\x1b[2J\x07\r\t\x7f", "\\u001b[2J\\u0007\\u000d\\u0009\\u007f"),
        ("\x9b31m\x85", "\\u009b31m\\u0085"),
        (
            "\u202etxt.exe\u202c\u2066\u2069\u200e\u200f\u061c",
            "\\u202etxt.exe\\u202c\\u2066\\u2069\\u200e\\u200f\\u061c",
        ),
        ("\u2028\u2029\ufeff\ud800", "\\u2028\\u2029\\ufeff\\ud800"),
    ],
)
def test_what_steers_a_terminal_or_turns_a_text_is_written_out(text, said):
    assert printable(text) == said


@given(st.text())
def test_what_is_printable_stays_as_it_is(text):
    assert printable(printable(text)) == printable(text)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_stays_the_same_json(document):
    assert json.loads(printable(json.dumps(document, ensure_ascii=False))) == document


def test_a_piece_of_a_line_makes_no_other_line():
    assert one_line("a\nb\r\u2028c") == "a\\nb\\u000d\\u2028c"
