"""The house, as it is drawn in docs/how-it-works.md: who may know whom.

Read from the source, so that an import nobody runs counts too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sandbox.world import keeps_nothing

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
PACKAGE = FUNCTIONS / "tidegate"

#: Every room of the package, from the roof down: the rooms that it may know, and what of others it may import.
#: "base" is what lies in the package itself. An arrow never goes up, so there is no circle.
HOUSE: dict[str, tuple[set[str], set[str]]] = {
    "cli": (
        {"terminal", "views", "request", "ending", "control", "planning", "analysis", "base", "sandbox"},
        {"rich", "typer"},
    ),
    "views": ({"terminal", "ending", "control", "planning", "analysis", "base"}, {"rich"}),
    "terminal": ({"base"}, {"ruamel"}),
    "application": (
        {"aws", "request", "ending", "control", "planning", "hooks", "analysis", "base"},
        {"aws_lambda_powertools"},
    ),
    "aws": ({"ending", "control", "planning", "hooks", "analysis", "base"}, {"boto3", "botocore", "mypy_boto3"}),
    "request": ({"planning", "hooks", "analysis", "base"}, {"pydantic", "pydantic_core", "annotated_types"}),
    "ending": ({"control", "planning", "base"}, set()),
    "control": ({"planning", "analysis", "base"}, set()),
    "planning": ({"hooks", "analysis", "base"}, {"ruamel"}),
    "hooks": ({"base"}, {"jmespath"}),
    "analysis": ({"base"}, set()),
    "base": (set(), set()),
}
#: Values in, values out: time, chance, environment and the outside come in as values.
PURE = ["request", "ending", "control", "planning", "hooks", "analysis", "base"]
IMPURE = {"logging", "os", "random", "secrets", "socket", "subprocess", "time", "urllib", "uuid"}
#: What one module alone may know: the person's own account, and why AWS refused.
SDK_OF_THE_COMMAND_LINE = {"account": {"boto3", "botocore"}, "aws_errors": {"botocore"}}

STANDARD = {*sys.stdlib_module_names, "__future__"}
LONGEST_FUNCTION_LINES = 60
LONGEST_FILE_LINES = 500
LONGEST_FILE_OF_THE_PACKAGE = 400
NAMELESS = {"common", "helper", "helpers", "misc", "util", "utils"}


def sources(*folders: str) -> list[str]:
    """Every Python file below the folders, relative to the root; none of them may be empty."""
    found = [str(path.relative_to(ROOT)) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found, folders
    return found


@cache
def parse(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"), filename=source)


def imported_modules(source: str) -> Iterator[str]:
    """Every module that a file imports, with its full dotted name: `from a.b import c` gives `a.b.c`."""
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}:{node.lineno} imports relatively, which this test cannot follow"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    """Where in the house a module of ours is; of other modules their top-level package."""
    top, _, rest = module.partition(".")
    if top != "tidegate":
        return "mypy_boto3" if top.startswith("mypy_boto3") else top
    first = rest.partition(".")[0]
    return first if (PACKAGE / first).is_dir() else "base"


def room_of(source: str) -> str:
    return room(".".join(Path(source).relative_to("functions").with_suffix("").parts))


@cache
def known(source: str) -> set[str]:
    """The rooms and packages that a file imports, but for the standard library and its own room."""
    return {room(module) for module in imported_modules(source)} - STANDARD


def tops(source: str) -> set[str]:
    """The top-level packages and modules that a file imports."""
    return {module.partition(".")[0] for module in imported_modules(source)}


def top_level_functions(source: str) -> set[str]:
    return {node.name for node in parse(source).body if isinstance(node, ast.FunctionDef)}


TOP = [str(path.relative_to(ROOT)) for path in sorted(FUNCTIONS.glob("*.py"))]
HANDLERS = {Path(source).stem for source in TOP}
DOOR = "functions/tidegate/__main__.py"


def test_the_listing_of_functions_is_the_workflow():
    assert [source for source in TOP if "handler" not in top_level_functions(source)] == []


def test_every_room_is_in_the_drawing():
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()} | {"base"} == set(HOUSE)


def test_no_arrow_goes_up():
    floors = list(HOUSE)
    for number, (rooms, _) in enumerate(HOUSE.values()):
        assert rooms - {"sandbox"} <= set(floors[number + 1 :]), floors[number]


def test_a_room_knows_the_rooms_below_and_what_it_is_there_for():
    for source in sources("functions/tidegate"):
        if source != DOOR:
            rooms, packages = HOUSE[room_of(source)]
            more = SDK_OF_THE_COMMAND_LINE.get(Path(source).stem, set()) if room_of(source) == "cli" else set()
            assert known(source) - {room_of(source)} <= rooms | packages | more, source


def test_the_program_is_the_command_line():
    assert known(DOOR) == {"cli", "terminal"}


def test_what_decides_takes_time_chance_and_environment_as_values():
    for source in sources("functions/tidegate"):
        if room_of(source) in PURE and source != DOOR:
            assert not tops(source) & IMPURE, source


def test_a_handler_reaches_aws_through_what_it_shares_with_others():
    allowed = {"application", "aws", "ending", "control", "planning", "hooks", "analysis", "base"}
    for source in TOP:
        assert known(source) <= allowed | {"aws_lambda_powertools"}, source


def test_a_handler_imports_first_what_keeps_the_garbage_collector_out_of_its_cold_start():
    for source in TOP:
        outside = [module for module in imported_modules(source) if module.partition(".")[0] not in STANDARD]
        assert outside[0].startswith("tidegate.application."), source


def test_nothing_imports_a_handler():
    for source in sources("functions", "sandbox"):
        assert not tops(source) & HANDLERS, source


def test_only_planning_pays_for_pydantic():
    lazy = "functions/tidegate/request/problems.py"
    parser = importing("tidegate.request.rollout_request") - {lazy}
    assert parser == {"functions/tidegate/application/planner.py"}
    assert importing("tidegate.application.planner") == {
        "functions/plan_rollout.py",
        "functions/tidegate/application/dry_run.py",
    }
    assert importing("tidegate.application.dry_run") == {"functions/plan_rollout.py"}
    assert "rollout_request" not in _at_once(lazy)


def test_only_a_template_that_is_yaml_pays_for_its_parser():
    stacks = "functions/tidegate/aws/stacks.py"
    assert importing("tidegate.planning.template") == {stacks}
    assert "template" not in _at_once(stacks)


def _at_once(source: str) -> str:
    """What a module imports when it is imported itself."""
    return "\n".join(ast.unparse(node) for node in parse(source).body if isinstance(node, (ast.Import, ast.ImportFrom)))


def importing(module: str) -> set[str]:
    return {
        source
        for source in sources("functions")
        if any(name == module or name.startswith(f"{module}.") for name in imported_modules(source))
    }


def test_the_simulated_account_knows_no_tidegate():
    for source in sources("sandbox/aws"):
        ours = {module for module in imported_modules(source) if module.partition(".")[0] in {"sandbox", "tidegate"}}
        assert all(module.startswith("sandbox.aws.") for module in ours), source


def test_the_sandbox_runs_the_functions_without_importing_them():
    for source in sources("sandbox"):
        assert not known(source) & {"application", "aws", "control", "hooks", "cli"}, source


def test_processes_of_the_sandbox_share_what_takes_everything_as_a_value():
    for source in [source for source in sources("functions/tidegate") if source != DOOR]:
        module = ".".join(Path(source).relative_to("functions").with_suffix("").parts).removesuffix(".__init__")
        assert keeps_nothing(module) is (room_of(source) in PURE and module != "tidegate"), source


def test_the_sandbox_is_imported_only_when_asked_for():
    assert {source for source in sources("functions") if "sandbox" in known(source)} == {
        "functions/tidegate/cli/simulate.py"
    }
    assert "sandbox" not in _at_once("functions/tidegate/cli/simulate.py")


def test_what_builds_and_measures_imports_no_test():
    assert [source for source in sources("tools", "bench", "docs") if "tests" in known(source)] == []


def test_files_and_functions_stay_small():
    for source in sources("functions", "sandbox", "tests", "tools"):
        lines = (ROOT / source).read_text(encoding="utf-8").count("\n")
        assert lines <= LONGEST_FILE_LINES, source
        too_long = [
            f"{node.name}: {length} lines"
            for node in ast.walk(parse(source))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION_LINES
        ]
        assert not too_long, source


def test_the_files_of_the_package_are_read_in_one_go():
    lines = {source: (ROOT / source).read_text(encoding="utf-8").count("\n") for source in sources("functions")}
    assert not {source: count for source, count in lines.items() if count > LONGEST_FILE_OF_THE_PACKAGE}


def test_the_functions_of_the_package_are_short():
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for source in sources("functions")
        for node in ast.walk(parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    assert lengths[int(len(lengths) * 0.95)] <= 22
    assert sum(length > 40 for length in lengths) <= 2


def test_modules_are_named_after_what_they_are_about():
    for source in sources("functions", "sandbox", "tests", "tools"):
        assert not {part.lower() for part in Path(source).with_suffix("").parts} & NAMELESS, source
