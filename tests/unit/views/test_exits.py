"""What others wrote is shown escaped wherever it leaves for people: on a terminal, line by line, and in a report."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tests.plans import PLAN
from tests.unit.views.test_report import ROLLED_BACK
from tidegate.views import live, plan_view, report, screen, tables
from tidegate.views.rollout_view import CommandView

EVIL = "\x1b[2J\x9b31m\u202eevil"
SHOWN = "\\u001b[2J\\u009b31m\\u202eevil"
VIEW = replace(
    ROLLED_BACK,
    cause=EVIL,
    warnings=(EVIL,),
    holding=EVIL,
    commands=(CommandView(30, "pause", EVIL, EVIL),),
    verdicts=tuple(replace(verdict, reason=EVIL) for verdict in ROLLED_BACK.verdicts),
)


def on_a_terminal(draw):
    """What a terminal is sent, without the colours that are ours."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=200)
    draw(console)
    return console.file.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(live.lines(VIEW)),
        report.html(VIEW),
        on_a_terminal(lambda console: console.print(live.render(VIEW))),
        on_a_terminal(lambda console: console.print(live.render(replace(VIEW, outcome=None)))),
        on_a_terminal(lambda console: console.print(tables.table(("why",), [(EVIL,)]))),
        on_a_terminal(lambda console: console.print(plan_view.render(replace(PLAN, warnings=(EVIL,)), []))),
        on_a_terminal(
            lambda console: console.print(
                plan_view.render(PLAN, [{"what": "handler", "stable": EVIL, "candidate": "b"}])
            )
        ),
    ],
    ids=["lines", "report", "end", "live", "table", "warning", "difference"],
)
def test_what_others_wrote_steers_nothing(text):
    assert SHOWN in text
    assert not set(text) & set("\x1b\x9b\u202e")


def test_the_last_line_below_a_live_view_is_escaped_too():
    sent = on_a_terminal(lambda console: screen.show([VIEW], console))
    assert SHOWN in sent.splitlines()[-1]
    assert not set(sent) & set("\x9b\u202e")
