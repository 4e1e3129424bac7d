"""`tidegate`: the command line. Every command says how it went by its exit code, for people and pipelines alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli import options
from tidegate.cli.options import MadeOfOptions, as_document, exit_code, exits_with_code, print_json, say
from tidegate.cli.simulate import Sandbox
from tidegate.cli.target import named_by, parse_target
from tidegate.control.commands import KINDS
from tidegate.errors import LedgerUnreadable
from tidegate.printable import printable
from tidegate.request.problems import request_schema
from tidegate.terminal import documents
from tidegate.terminal.exit_codes import NOT_ACCEPTED, SUCCEEDED, AwsFailed, NothingThere, Unusable, stopping
from tidegate.terminal.lazily import lazily

with lazily():
    from tidegate.cli import account as accounts
    from tidegate.cli import watch as watching
    from tidegate.views import live, plan_view, records, screen, tables
    from tidegate.views import report as reports
    from tidegate.views import rollout_view as views

if TYPE_CHECKING:
    from tidegate.cli.account import Account
    from tidegate.views.rollout_view import RolloutView

#: What was played in virtual time is shown for as long.
_SANDBOX_SECONDS = 13.0

_HELP = """Progressive rollouts for AWS Lambda: plan, start, watch and steer them.

Credentials and region are those of the AWS CLI. TARGET is function:alias, such as checkout:live; REQUEST is a file of
JSON or YAML, or - for standard input.
"""
_EXIT_CODES = """Exit codes: 0 promoted, unchanged or accepted; 1 the rollout ended otherwise, or would be rejected;
2 the input or the usage cannot be understood; 3 not accepted, or nothing is there; 4 AWS did not answer or refused;
130 ended by Ctrl-C.
"""

app = typer.Typer(
    name="tidegate",
    help=_HELP,
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RequestArgument = Annotated[str, typer.Argument(metavar="REQUEST", help="The request: a file of JSON or YAML, or -.")]
TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help="function:alias, such as checkout:live.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")]
RolloutOption = Annotated[str | None, typer.Option("--rollout", metavar="ID", help="That rollout, and no other.")]


def _account(
    stack: Annotated[str, typer.Option("--stack", envvar="TIDEGATE_STACK", help="Tidegate's stack.")] = "tidegate",
    region: Annotated[str | None, typer.Option("--region", help="AWS region; the usual one by default.")] = None,
    profile_name: Annotated[str | None, typer.Option("--profile-name", help="Credentials of ~/.aws/config.")] = None,
) -> object:  # an Account, whose module Typer would load to read so
    return accounts.Account(stack, region, profile_name)


def _sandbox(
    sandbox: Annotated[bool, typer.Option("--sandbox", help="On this machine, in virtual time, without AWS.")] = False,
    scenario: Annotated[
        str | None, typer.Option("--scenario", metavar="FILE", help="What a sandbox meets: a file, or a shipped name.")
    ] = None,
    seed: Annotated[str, typer.Option("--seed", metavar="NUMBER", help="A sandbox's luck.")] = "0",
) -> Sandbox | None:
    if scenario and not sandbox:
        raise Unusable("--scenario is for --sandbox: AWS has scenarios of its own")
    luck = options.whole_number("--seed", seed)
    return Sandbox(scenario, luck) if sandbox else None


AccountOptions = Annotated["Account", MadeOfOptions(_account)]
SandboxOptions = Annotated[Sandbox | None, MadeOfOptions(_sandbox)]


def main() -> None:
    """Run one command, and end the program with its exit code."""
    app(prog_name="tidegate")


def _say_version(wanted: bool) -> None:
    if wanted:
        say(f"tidegate {options.version()}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version, and end.")
    ] = False,
) -> None:
    pass


# --- Before and at the start ------------------------------------------------------------------------------------------


@app.command()
@exits_with_code
def validate(request: RequestArgument, as_json: JsonOption = False) -> int:
    """Whether a request can be understood: at once, without AWS."""
    document = options.understood(request)
    target = named_by(document)
    if as_json:
        print_json({"valid": True, "target": target and str(target)})
    else:
        say(f"{options.called(request)} is a request" + (f" for {target}" if target else "; its profile says the rest"))
    return SUCCEEDED


@app.command()
@exits_with_code
def plan(
    request: RequestArgument, sandbox: SandboxOptions, account: AccountOptions, as_json: JsonOption = False
) -> int:
    """A dry run: steps, times, cost, what each step can detect, what differs, and every refusal."""
    document = options.understood(request)
    answer = (sandbox or account).rehearse(document)
    from tidegate.ending.record import plan_of  # noqa: PLC0415 - takes longer than most commands

    try:
        made = plan_of(answer["plan"], "this stack")
    except LedgerUnreadable as error:
        raise AwsFailed(
            "the plan is of another version of Tidegate than this command line: install the stack's"
        ) from error
    if as_json:
        print_json({**answer, "cost": plan_view.costs(made)})
    else:
        options.console().print(plan_view.render(made, answer["differences"]), highlight=False)
    return SUCCEEDED


@app.command()
@exits_with_code
def start(
    request: RequestArgument,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Stay until it has ended.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="The execution's name.")] = None,
    sandbox: SandboxOptions,
    account: AccountOptions,
    as_json: JsonOption = False,
) -> int:
    """Start a rollout; with --watch, follow it to its end."""
    document, name = options.understood(request), options.execution_name(name)
    if sandbox:
        return _play(sandbox, document, watch=watch, as_json=as_json)
    arn = account.start(document, name)
    if watch:
        if not as_json:
            say(f"started {arn}")
        return _watch(account, arn, as_json=as_json)
    if as_json:
        print_json({"execution_arn": arn, "rollout_id": arn.rpartition(":")[2]})
    else:
        say(f"started {arn}\nfollow it with: tidegate watch {named_by(document) or 'TARGET'}")
    return SUCCEEDED


def _play(sandbox: Sandbox, request: object, *, watch: bool, as_json: bool) -> int:
    console = options.console()
    if console.is_terminal and not as_json:
        say("playing it first: a moment, or some minutes where it waits a day for somebody", err=True)
    seen = sandbox.play(request)
    last = seen[-1]
    if as_json:
        print_json(as_document(last))
    elif watch:
        screen.show(screen.paced(seen, console, _SANDBOX_SECONDS), console)
    else:
        say(views.closing_words(last))
    return exit_code(last)


# --- While it runs, and after -----------------------------------------------------------------------------------------


@app.command()
@exits_with_code
def watch(target: TargetArgument, account: AccountOptions, as_json: JsonOption = False) -> int:
    """Follow the running rollout of an alias to its end: weights, errors of both versions, verdicts, the next look."""
    named = parse_target(target)
    lock = account.lock(named)
    if lock is None:
        raise NothingThere(f"no rollout of {named} runs now: tidegate status {named} tells of the last one")
    return _watch(account, lock.execution_arn, as_json=as_json)


def _watch(account: Account, arn: str, *, as_json: bool) -> int:
    with stopping("no longer watching; the rollout goes on, and tidegate abort ends it"):
        seen = watching.follow(account, arn)
        last = [*seen][-1] if as_json else screen.show(seen, options.console())
    if last is None:
        raise NothingThere(f"nothing was seen of {arn}")
    if as_json:
        print_json(as_document(last))
    return exit_code(last)


@app.command()
@exits_with_code
def status(target: TargetArgument, account: AccountOptions, as_json: JsonOption = False) -> int:
    """How the rollout of an alias stands now; or how the last one ended."""
    view = watching.current(account, parse_target(target))
    if as_json:
        print_json(as_document(view))
        return exit_code(view)
    console = options.console()
    if console.is_terminal:
        console.print(live.render(view))
        if command := views.remedy(view):
            # Once more without a frame around it, so that it can be copied.
            console.print(printable(command), markup=False, highlight=False, soft_wrap=True)
    else:
        for line in live.lines(view):
            say(line)
    if view.outcome is None and (coming := views.next_look(view)):
        say(coming)
    return exit_code(view)


@app.command("list")
@exits_with_code
def list_running(account: AccountOptions, as_json: JsonOption = False) -> int:
    """Every rollout that runs now."""
    seen = [records.running_view(lock, accounts.now()) for lock in account.running()]
    if as_json:
        print_json({"rollouts": [as_document(view) for view in seen]})
    elif not seen:
        say("no rollout runs now")
    else:
        rows = [(view.target, view.rollout_id, _versions(view), *_progress(view)) for view in seen]
        table = tables.table(("target", "rollout", "versions", "weight", "since start", "waits for"), rows)
        options.console().print(table, highlight=False)
    return SUCCEEDED


@app.command()
@exits_with_code
def history(
    target: TargetArgument,
    *,
    limit: Annotated[str, typer.Option("--limit", metavar="NUMBER", help="At most so many, newest first.")] = "20",
    account: AccountOptions,
    as_json: JsonOption = False,
) -> int:
    """The finished rollouts of an alias, newest first."""
    named, most = parse_target(target), options.whole_number("--limit", limit, 1, 1000)
    seen = [records.finished_view(item) for item in account.finished(named, most)]
    if not seen:
        raise NothingThere(f"no finished rollout of {named} is known: see --stack and --region")
    if as_json:
        print_json({"target": str(named), "rollouts": [as_document(view) for view in seen]})
        return SUCCEEDED
    rows = [
        (views.moment(view.started_at), view.rollout_id, _versions(view), tables.outcome(view), _why(view))
        for view in seen
    ]
    table = tables.table(("started", "rollout", "versions", "outcome", "why"), rows)
    options.console().print(table, highlight=False)
    return SUCCEEDED


@app.command()
@exits_with_code
def report(
    target: TargetArgument,
    *,
    out: Annotated[str | None, typer.Option("--out", metavar="FILE.html", help="Where to write it.")] = None,
    rollout: RolloutOption = None,
    account: AccountOptions,
    as_json: JsonOption = False,
) -> int:
    """One page of HTML about a rollout: the running one, the last one, or the one that --rollout names."""
    named = parse_target(target)
    if out is not None:
        documents.require_place(out)
    view = watching.current(account, named) if rollout is None else watching.finished(account, named, rollout)
    # A file's name holds 255 bytes, and a rollout's id takes 80 of them.
    names = f"{named.function_name[:64]}-{named.name[:64]}"
    page = f"tidegate-{names}-{view.rollout_id}.html" if out is None else out
    documents.write(page, reports.html(view))
    if as_json:
        print_json({"report": page, "rollout_id": view.rollout_id, "outcome": view.outcome})
    else:
        say(f"wrote {documents.named(page)}")
    return SUCCEEDED


def _versions(view: RolloutView) -> str:
    return f"{view.stable} → {view.candidate or '…'}"


def _why(view: RolloutView) -> str:
    return view.cause or views.proof_words(view)


def _progress(view: RolloutView) -> tuple[str, str, str]:
    return views.percent(view.weight_percent), views.timer(view.elapsed_seconds), view.holding or ""


# --- Operator controls ------------------------------------------------------------------------------------------------


def _command(given: str) -> Callable[..., int]:
    def steer(
        target: TargetArgument,
        *,
        reason: Annotated[str, typer.Option("--reason", help="Why; kept in the history.")] = "no reason given",
        author: Annotated[
            str | None, typer.Option("--author", help="Who says so; by default whose credentials these are.")
        ] = None,
        rollout: RolloutOption = None,
        account: AccountOptions,
        as_json: JsonOption = False,
    ) -> int:
        answer = account.command(given, parse_target(target), author, reason, rollout)
        if as_json:
            print_json(answer)
        else:
            say(answer["message"], err=not answer["accepted"])
        return SUCCEEDED if answer["accepted"] else NOT_ACCEPTED

    return steer


for _given, _kind in KINDS.items():
    app.command(_given, help=_kind.does)(exits_with_code(_command(_given)))


@app.command()
@exits_with_code
def schema(as_json: JsonOption = False) -> int:  # noqa: ARG001 - it is JSON either way
    """The request's JSON Schema."""
    typer.echo(request_schema(), nl=False)
    return SUCCEEDED
