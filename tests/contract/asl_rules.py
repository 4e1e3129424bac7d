"""Rules of the state machine that no validator knows: each returns what it complains about."""

import re
from collections.abc import Iterator
from typing import Any

from jsonata.jsonata import Jsonata

INVOKE = "arn:${Partition}:states:::lambda:invoke"
EXPRESSION = re.compile(r"\{%(.*)%\}", re.DOTALL)
VARIABLE = re.compile(r"\$([A-Za-z_]\w*)(?!\w*\()")
#: What Step Functions itself binds.
BOUND = {"states"}


def expressions(node: Any) -> Iterator[str]:
    """Every JSONata expression below a node."""
    if isinstance(node, dict):
        for value in node.values():
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)
    elif isinstance(node, str) and (match := EXPRESSION.fullmatch(node)):
        yield match[1]


def assigned(state: dict[str, Any]) -> set[str]:
    """Variables that a state assigns when it succeeds."""
    return set(state.get("Assign", {}))


def successors(state: dict[str, Any]) -> set[str]:
    """Names of the states that may follow."""
    names = {state.get("Next"), state.get("Default")}
    names |= {rule["Next"] for rule in (*state.get("Choices", []), *state.get("Catch", []))}
    return {name for name in names if name}


def a_choice_without_default(machine: dict[str, Any]) -> list[str]:
    """No matching rule ends the execution with States.Runtime, which no Catch sees."""
    return [f"{name} has no Default" for name, state in choices(machine) if "Default" not in state]


def states_all_not_alone_and_last(machine: dict[str, Any]) -> list[str]:
    """States.ALL must stand alone and last, or what follows it is never tried."""
    found = []
    for name, state in tasks(machine):
        for field in ("Retry", "Catch"):
            rules = state.get(field, [])
            for index, rule in enumerate(rules):
                errors = rule["ErrorEquals"]
                if "States.ALL" in errors and (len(errors) > 1 or index < len(rules) - 1):
                    found.append(f"{name}.{field}[{index}] has States.ALL not alone and last")
    return found


def an_unknown_action(machine: dict[str, Any]) -> list[str]:
    """Tasks invoke our own functions, and do nothing else."""
    return [f"{name} does {state['Resource']}" for name, state in tasks(machine) if state["Resource"] != INVOKE]


def an_undefined_variable(machine: dict[str, Any]) -> list[str]:
    """Reading a variable that no path has assigned ends the execution."""
    states = machine["States"]
    known: dict[str, set[str] | None] = dict.fromkeys(states)
    known[machine["StartAt"]] = set()
    agenda = [machine["StartAt"]]
    while agenda:
        name = agenda.pop()
        here = known[name] or set()
        for following, there in _handed_on(states[name], here):
            before = known[following]
            after = there if before is None else before & there
            if after != before:
                known[following] = after
                agenda.append(following)
    return [
        f"{name} reads ${variable}, which not every path to it assigns"
        for name, state in states.items()
        for expression in expressions({key: value for key, value in state.items() if key != "Catch"})
        for variable in VARIABLE.findall(_without_strings(expression))
        if variable not in BOUND | (known[name] or set())
    ]


def _handed_on(state: dict[str, Any], here: set[str]) -> Iterator[tuple[str, set[str]]]:
    for rule in state.get("Choices", []):
        yield rule["Next"], here | assigned(rule)
    for rule in state.get("Catch", []):
        # A Catcher's Assign replaces the state's own.
        yield rule["Next"], here | assigned(rule)
    for name in {state.get("Next"), state.get("Default")} - {None}:
        yield name, here | assigned(state)


def a_catch_that_computes(machine: dict[str, Any]) -> list[str]:
    """A failing expression inside a Catch ends the execution: it keeps $states.errorOutput, or a constant."""
    return [
        f"{name}.Catch assigns {rule.get('Assign')}"
        for name, state in tasks(machine)
        for rule in state.get("Catch", [])
        if "Output" in rule
        or not rule.get("Assign")
        or any(value != "{% $states.errorOutput %}" for value in expressive(rule["Assign"]))
    ]


def expressive(assign: dict[str, Any]) -> list[str]:
    """The assigned values that are evaluated."""
    return [value for value in assign.values() if isinstance(value, str)]


def a_task_without_limits(machine: dict[str, Any]) -> list[str]:
    """Every Task has TimeoutSeconds (the default is three years), retries with full jitter, and catches everything."""
    found = []
    for name, state in tasks(machine):
        if not isinstance(state.get("TimeoutSeconds"), int):
            found.append(f"{name} has no TimeoutSeconds")
        retries = [rule for rule in state.get("Retry", []) if rule.get("MaxAttempts") != 0]
        if not retries or any(rule.get("JitterStrategy") != "FULL" for rule in retries):
            found.append(f"{name} does not retry with full jitter")
        if not state.get("Catch") or state["Catch"][-1]["ErrorEquals"] != ["States.ALL"]:
            found.append(f"{name} does not catch everything")
    return found


def an_expression_that_does_not_parse(machine: dict[str, Any]) -> list[str]:
    """Step Functions would refuse the definition; locally nothing else compiles them all."""
    found = []
    for expression in expressions(machine):
        try:
            Jsonata(expression)
        except Exception as error:  # noqa: BLE001 - whatever the parser raises is the complaint
            found.append(f"{expression}: {error}")
    return found


def an_unreachable_or_missing_state(machine: dict[str, Any]) -> list[str]:
    """Every state is reached from the start, and every state named exists."""
    reached, agenda = set(), {machine["StartAt"]}
    while agenda:
        name = agenda.pop()
        reached.add(name)
        agenda |= successors(machine["States"].get(name, {})) - reached
    return [f"{name} is missing or unreachable" for name in reached ^ set(machine["States"])]


RULES = (
    a_choice_without_default,
    states_all_not_alone_and_last,
    an_unknown_action,
    an_undefined_variable,
    a_catch_that_computes,
    a_task_without_limits,
    an_expression_that_does_not_parse,
    an_unreachable_or_missing_state,
)


def tasks(machine: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every Task by name."""
    return [(name, state) for name, state in machine["States"].items() if state["Type"] == "Task"]


def choices(machine: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every Choice by name."""
    return [(name, state) for name, state in machine["States"].items() if state["Type"] == "Choice"]


def _without_strings(expression: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"]*\"|/[^/\n]+/", "", expression)
