"""The fixed plan of one rollout: what it will do, how long it may take, how often it looks.

The plan is made, logged and stored at the start; nobody computes "the next weight" later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any, Self

from tidegate.alias import Alias
from tidegate.analysis.health import AlarmRule, HealthPolicy
from tidegate.analysis.measurement import TrafficBaseline
from tidegate.analysis.queries import Asked, VersionQueries, day_queries, rollout_queries
from tidegate.frozen import frozen
from tidegate.hooks.hook import NO_HOOKS, Hooks
from tidegate.planning.forecast import StepForecast
from tidegate.planning.pace import MIN_POLL_SECONDS, approvals_seconds
from tidegate.planning.strategy import COMPARISON, Approval, Step
from tidegate.routing import ALL_PERCENT
from tidegate.stored import known_fields


@frozen
class Plan:
    """Everything about one rollout that does not change while it runs. Times are seconds since the epoch.

    `timeout_seconds` is for how long a request of the function may run; None in a plan of an earlier Tidegate.
    `durable`: its requests start executions that go on after them. `sooner_looks`: so many looks for each step may come
    sooner than `poll_seconds`.
    """

    rollout_id: str
    execution_arn: str
    region: str
    function_name: str
    alias_name: str
    started_at: float
    stable: str
    revision_id: str
    steps: tuple[Step, ...]
    poll_seconds: int
    extension_poll_seconds: int
    longest_seconds: int
    max_step_backs: int
    restore_command: str
    hold_poll_seconds: int = MIN_POLL_SECONDS
    max_pause_seconds: int = 0
    max_flinches: int = 0
    alarms: tuple[AlarmRule, ...] = ()
    health: HealthPolicy = field(default_factory=HealthPolicy)
    version: str | None = None
    expected_code_sha256: str | None = None
    description: str | None = None
    smoke_tests: int = 0
    force: bool = False
    provisioned: bool = False
    profile: str | None = None
    hooks: Hooks = NO_HOOKS
    creates_alias: bool = False
    revert_window_seconds: int = 86_400
    baseline: TrafficBaseline = field(default_factory=TrafficBaseline)
    expectations: tuple[StepForecast, ...] = ()
    warnings: tuple[str, ...] = ()
    timeout_seconds: int | None = None
    durable: bool = False
    sooner_looks: int = 0

    @property
    def alias(self) -> Alias:
        """What is rolled out."""
        return Alias(self.function_name, self.alias_name)

    @property
    def target(self) -> str:
        """The alias as text: `function:alias`."""
        return str(self.alias)

    @property
    def tries_candidate(self) -> bool:
        """Whether the user has the candidate invoked before any traffic: by smoke tests, or by a hook of theirs."""
        return self.smoke_tests > 0 or self.hooks.before_traffic is not None

    @property
    def counts_executions(self) -> bool:
        """Whether executions are what is judged, and so are counted."""
        asked = self.health.judge is not None or self.health.max_error_percent is not None
        return self.durable and asked and not self.creates_alias

    @property
    def asked(self) -> Asked:
        """What a look asks CloudWatch of each minute: what is judged, as far as it is known where bad begins."""
        judge, limit_ms = self.health.judge, self.health.max_duration_p99_ms
        if judge is None:
            return Asked({}, limit_ms)
        slow = {quantile: self.baseline.slow_above_ms(quantile) for quantile in judge.quantiles}
        above = {one.name: one.above for one in self.baseline.metrics}
        return Asked(
            {quantile: limit for quantile, limit in slow.items() if limit is not None},
            limit_ms,
            judge.metrics,
            {name: limit for name, limit in above.items() if limit is not None},
        )

    @property
    def metrics_per_look(self) -> int:
        """How many metrics one look asks CloudWatch for; executions are not among them."""
        if self.counts_executions and not self.asked.metrics:
            return 0
        queries = (VersionQueries(role, self.alias, role, self.asked) for role in ("stable", "candidate"))
        return len(rollout_queries(*queries))

    @property
    def metrics_of_history(self) -> int:
        """How many metrics the plan has asked CloudWatch for."""
        judge = self.health.judge
        return len(day_queries(self.alias, self.stable, judge.metrics if judge else ()))

    @property
    def first_step(self) -> int:
        """Where traffic returns to at a step back: the first step, or before it where that one compares nothing."""
        return 0 if self.steps[0].weight_percent < ALL_PERCENT else -1

    def step_at(self, number: int) -> Step:
        """The step of that number; -1 is the comparison that an all-at-once rollout steps back to."""
        return COMPARISON if number < 0 else self.steps[number]

    def is_last(self, number: int) -> bool:
        """Whether that step is the last one."""
        return number == len(self.steps) - 1

    def approval_of(self, number: int) -> Approval | None:
        """Who must approve before that step is set; the one after the last is to promote what is not proven."""
        if number == len(self.steps):
            return Approval(self.health.max_hold_seconds)
        return self.steps[number].approval

    @property
    def approval_seconds(self) -> int:
        """The longest that people may be waited for in all, beside pauses."""
        return sum(approvals_seconds(self.steps, self.health, self.max_step_backs))

    @property
    def watched_seconds(self) -> int:
        """The longest that the rollout may take while nobody holds it."""
        return self.longest_seconds - self.approval_seconds - self.max_pause_seconds

    def again_seconds(self, number: int) -> int:
        """How long that step bakes after a step back; the first one long enough to compare."""
        return self.step_at(number).again_seconds(first=number == self.first_step)

    def about(self, candidate: str | None, **more: Any) -> dict[str, Any]:
        """What every event says of this rollout."""
        return {
            "execution_arn": self.execution_arn,
            **self.alias.names,
            "from_version": self.stable or None,
            "to_version": candidate,
            **more,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The plan of `to_json`, also of an earlier or later Tidegate: guards are newer than what still runs."""
        fields = known_fields(cls, document)
        fields["steps"] = tuple(Step.from_json(step) for step in document["steps"])
        fields["alarms"] = tuple(map(AlarmRule.from_json, document["alarms"]))
        fields["health"] = HealthPolicy.from_json(document["health"])
        fields["hooks"] = Hooks.from_json(document.get("hooks", {}))
        fields["baseline"] = TrafficBaseline.from_json(document["baseline"])
        expectations = [known_fields(StepForecast, expected) for expected in document["expectations"]]
        fields["expectations"] = tuple(StepForecast(**expected) for expected in expectations)
        fields["warnings"] = tuple(document["warnings"])
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; holds nothing that the target function keeps secret."""
        return asdict(self)
