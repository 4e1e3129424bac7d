"""The arrows of the house: handlers -> application -> aws -> rollout -> the standard library, and what goes with them.

The domain may also use jmespath, a language whose every expression is a function of values, and a parser of YAML.

Read from the source, so that an import nobody runs counts too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"

SDK = {"boto3", "botocore", "mypy_boto3"}
PYDANTIC = {"pydantic", "pydantic_core", "annotated_types"}
#: What would let the clock, the environment, chance or the outside into the domain: those come in as values.
IMPURE = {"logging", "os", "random", "secrets", "socket", "subprocess", "time", "urllib", "uuid"}

STANDARD = {*sys.stdlib_module_names, "__future__"}
LONGEST_FUNCTION_LINES = 60
LONGEST_FILE_LINES = 500
NAMELESS = {"common", "helper", "helpers", "misc", "util", "utils"}


def sources(*folders: str) -> list[str]:
    """Every Python file below the folders, relative to the root; none of them may be empty."""
    found = [str(path.relative_to(ROOT)) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found, folders
    return found


def parse(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"), filename=source)


def imported_modules(source: str) -> Iterator[str]:
    """Every module that a file imports, with its full dotted name: `from aws import sdk` gives `aws.sdk`."""
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}:{node.lineno} imports relatively, which this test cannot follow"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(source: str) -> set[str]:
    """The top-level packages that a file imports; the SDK's typed stubs count as one."""
    names = {module.partition(".")[0] for module in imported_modules(source)}
    return {"mypy_boto3" if name.startswith("mypy_boto3") else name for name in names}


def third_party(source: str) -> set[str]:
    return packages(source) - STANDARD


def top_level_functions(source: str) -> set[str]:
    return {node.name for node in parse(source).body if isinstance(node, ast.FunctionDef)}


TOP = [str(path.relative_to(ROOT)) for path in sorted(FUNCTIONS.glob("*.py"))]
HANDLERS = {Path(source).stem for source in TOP}


@pytest.mark.parametrize("source", TOP)
def test_the_listing_of_functions_is_the_workflow(source):
    assert "handler" in top_level_functions(source)


@pytest.mark.parametrize("source", sources("functions/rollout"))
def test_the_domain_knows_nothing_but_itself_and_the_standard_library(source):
    pydantic = PYDANTIC if "request" in Path(source).stem else set()
    yaml = {"ruamel"} if source == "functions/rollout/template.py" else set()
    assert third_party(source) <= {"rollout", "jmespath"} | pydantic | yaml


@pytest.mark.parametrize("source", sources("functions/rollout"))
def test_the_domain_takes_time_chance_and_environment_as_values(source):
    assert not packages(source) & IMPURE


@pytest.mark.parametrize("source", sources("functions/aws"))
def test_adapters_know_the_domain_and_the_sdk_alone(source):
    assert third_party(source) <= {"aws", "rollout"} | SDK


@pytest.mark.parametrize("source", TOP)
def test_a_handler_imports_first_what_keeps_the_garbage_collector_out_of_its_cold_start(source):
    outside = [module for module in imported_modules(source) if module.partition(".")[0] not in STANDARD]
    assert outside[0].startswith("application.")


@pytest.mark.parametrize("source", [*TOP, *sources("functions/application")])
def test_handlers_and_what_they_share_reach_aws_only_through_adapters(source):
    assert third_party(source) <= {"application", "aws", "rollout", "aws_lambda_powertools"}


@pytest.mark.parametrize("source", sources("functions", "sandbox", "tidegate"))
def test_nothing_imports_a_handler(source):
    assert not packages(source) & HANDLERS


def test_only_planning_pays_for_pydantic():
    importers = {
        source
        for source in sources("functions")
        if any(
            module.startswith("rollout.") and "request" in module.split(".")[1] for module in imported_modules(source)
        )
    }
    parts = {source for source in importers if source.startswith("functions/rollout/")}
    assert importers - parts == {"functions/application/planner.py"}
    assert importing("application.planner") == {"functions/plan_rollout.py", "functions/application/dry_run.py"}
    assert importing("application.dry_run") == {"functions/plan_rollout.py"}
    assert all("request" in Path(source).stem for source in parts)


def test_only_a_template_that_is_yaml_pays_for_its_parser():
    assert importing("rollout.template") == {"functions/aws/stacks.py"}
    first = [ast.unparse(node) for node in parse("functions/aws/stacks.py").body if _imports(node)]
    assert not [line for line in first if "template" in line]


def importing(module: str) -> set[str]:
    return {
        source
        for source in sources("functions")
        if any(name == module or name.startswith(f"{module}.") for name in imported_modules(source))
    }


@pytest.mark.parametrize("source", sources("sandbox"))
def test_the_sandbox_runs_the_functions_without_importing_them(source):
    assert not packages(source) & ({"application", "aws", "rollout", "functions"} | HANDLERS)


#: What draws: it knows no account, and the sandbox's views are drawn by it like AWS's.
DRAWN = {"charts", "cost", "domain", "live", "planned", "records", "report", "screen", "tables", "view"}
#: What types, asks and answers.
COMMAND_LINE = {
    "account",
    "asked",
    "cli",
    "documents",
    "failed",
    "following",
    "here",
    "lazily",
    "outset",
    "refusal",
    "target",
    "yaml_text",
}
SDK_USERS = {"account", "refusal"}
#: What else one module alone may know: the sandbox, the handlers' domain, a reader of YAML.
ALONE = {"here": {"sandbox"}, "domain": {"rollout"}, "yaml_text": {"ruamel"}}


def test_every_module_for_people_draws_or_is_of_the_command_line():
    assert {Path(source).stem for source in sources("tidegate")} == DRAWN | COMMAND_LINE | {"__init__", "__main__"}


@pytest.mark.parametrize("source", [source for source in sources("tidegate") if Path(source).stem in DRAWN])
def test_what_people_see_is_drawn_from_values_alone(source):
    assert third_party(source) <= {"tidegate", "rich"} | ALONE.get(Path(source).stem, set())
    assert not {module.split(".")[1] for module in imported_modules(source) if module.startswith("tidegate.")} - DRAWN


@pytest.mark.parametrize("source", [source for source in sources("tidegate") if Path(source).stem not in DRAWN])
def test_the_command_line_talks_to_aws_in_one_place_and_to_the_sandbox_in_another(source):
    sdk = SDK if Path(source).stem in SDK_USERS else set()
    assert third_party(source) <= {"tidegate", "rich", "typer"} | sdk | ALONE.get(Path(source).stem, set())


def test_the_sandbox_is_imported_only_when_asked_for():
    assert not [node for node in parse("tidegate/here.py").body if "sandbox" in ast.unparse(node) and _imports(node)]


def _imports(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom))


@pytest.mark.parametrize("source", sources("functions", "sandbox", "tidegate", "tests"))
def test_files_and_functions_stay_small(source):
    lines = (ROOT / source).read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_FILE_LINES
    too_long = [
        f"{node.name}: {length} lines"
        for node in ast.walk(parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION_LINES
    ]
    assert not too_long


@pytest.mark.parametrize("source", sources("functions", "sandbox", "tidegate", "tests"))
def test_modules_are_named_after_what_they_are_about(source):
    assert not {part.lower() for part in Path(source).with_suffix("").parts} & NAMELESS
