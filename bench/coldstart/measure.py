"""Every handler of the template beside one that only makes a boto3 client, round after round in one run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.coldstart import package
from bench.coldstart.emulator import cold_start_ms
from sandbox.aws.intrinsics import Created, Resolver
from sandbox.aws.stack import Template
from sandbox.world import PARAMETERS, TEMPLATE
from tools import bytecode

BASELINE: Final = "only_a_client"
_BASELINE_SOURCE: Final = (
    'import boto3\n\nclient = boto3.client("lambda")\n\n\ndef handler(event, context):\n    return {}\n'
)
#: On the way from an alarm, a verdict or a person's word to the restored alias.
ROLLBACK_PATH: Final = ("check_health", "roll_back", "guard_alarm", "guard_execution", "sweep", "command")
#: How much longer than the baseline a handler may take to start.
LIMITS: Final[Mapping[str, float]] = {**dict.fromkeys(ROLLBACK_PATH, 1.15), "plan_rollout": 1.3}
#: Of the environment that Lambda gives; nothing on this machine is found through it, and no call leaves it.
_LAMBDA: Final = {
    "PATH": "/usr/bin:/bin",
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    # /var/task cannot be written to: no start leaves bytecode for the next.
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True, slots=True)
class ColdStart:
    """One handler's median INIT in milliseconds; `compiled_ms` is it with bytecode in the zip, None if it has it."""

    handler: str
    init_ms: float
    baseline_ms: float
    compiled_ms: float | None

    @property
    def ratio(self) -> float:
        """How many times the baseline."""
        return self.init_ms / self.baseline_ms

    @property
    def compiled_ratio(self) -> float | None:
        """How many times the baseline, were bytecode in the zip."""
        return None if self.compiled_ms is None else self.compiled_ms / self.baseline_ms

    @property
    def limit(self) -> float | None:
        """The highest ratio that will do, if there is a limit."""
        return LIMITS.get(self.handler)


@dataclass(frozen=True, slots=True)
class _Start:
    """What is started: a handler of a folder."""

    handler: str
    task: Path
    variables: Mapping[str, str]


def handlers() -> dict[str, dict[str, str]]:
    """Every handler of template.yaml, by module, in the template's order, with the environment it gets."""
    template = Template.load(TEMPLATE, PARAMETERS)
    # A reference to a parameter is its default, one to a resource its name.
    made = {name: Created(resource["Type"], name) for name, resource in template.resources.items()}
    resolver = Resolver(template.parameters, template.conditions, template.mappings, made)
    functions = {
        name: resource["Properties"]
        for name, resource in template.resources.items()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    return {
        properties["Handler"].partition(".")[0]: {
            **_LAMBDA,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties["MemorySize"]),
            **{key: str(value) for key, value in resolver.resolve(properties["Environment"]["Variables"]).items()},
        }
        for name, properties in functions.items()
    }


def measure(repeats: int, say: Callable[[str], None] = lambda _: None) -> list[ColdStart]:
    """The median of so many cold starts of each handler. A round before them fills the file cache and is not counted.

    Raises:
        PackageUnusable: the zip's content could not be installed.
        NoColdStart: a handler, or the emulator, did not start.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task, compiled, runtime = folder / "task", folder / "compiled", folder / "runtime"
        package.make(task)
        (task / f"{BASELINE}.py").write_text(_BASELINE_SOURCE, encoding="utf-8")
        package.make_runtime(runtime)
        found = handlers()
        baseline = {**next(iter(found.values())), "AWS_LAMBDA_FUNCTION_NAME": "Baseline"}
        starts = [_Start(BASELINE, task, baseline)]
        starts += [_Start(handler, task, variables) for handler, variables in found.items()]
        if not package.has_bytecode(task):
            shutil.copytree(task, compiled)
            bytecode.add(compiled)
            starts += [_Start(handler, compiled, variables) for handler, variables in found.items()]
        taken: dict[tuple[str, Path], list[float]] = {(start.handler, start.task): [] for start in starts}
        for number in range(repeats + 1):
            say(f"cold starts, round {number} of {repeats}")
            for start in starts:
                init_ms = cold_start_ms(start.task, runtime, f"{start.handler}.handler", start.variables)
                if number:
                    taken[start.handler, start.task].append(init_ms)
        medians = {key: median(values) for key, values in taken.items()}
        return [
            ColdStart(handler, medians[handler, task], medians[BASELINE, task], medians.get((handler, compiled)))
            for handler in found
        ]
