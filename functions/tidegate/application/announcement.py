"""What is told of a rollout, as an event and, where somebody should know, as a notice; telling never fails."""

from __future__ import annotations

from tidegate.application.telemetry import Document, best_effort
from tidegate.alias import Alias
from tidegate.aws import events, notices, settings
from tidegate.ending.outcome import Outcome
from tidegate.planning.plan import Plan

#: What a notice says happened, by the event that it goes with; other events are told to machines alone.
_HEADLINES = {
    "RolloutStarted": "rollout started",
    "ApprovalNeeded": "waits for approval",
    **{outcome.event: outcome.headline for outcome in Outcome if outcome.headline},
    "RolloutReverted": "promotion reverted",
    "AliasRestored": "put right after its rollout had ended",
}
#: What a subject has for names and headline.
_SUBJECT_ROOM = notices.MAX_SUBJECT_CHARACTERS - len("Tidegate:  ")


def announce(name: str, detail: Document, *, notice: bool = True) -> None:
    """Send an event, and a notice where its name is one that people want to hear of."""
    with best_effort("announce"):
        events.emit(name, detail)
    with best_effort("read the stack's settings"):
        settings.refresh()
    if notice and name in _HEADLINES:
        with best_effort("notify"):
            notices.publish(_subject(name, detail), _text(name, detail))


def tell_waiting(plan: Plan, candidate: str, reason: str) -> None:
    """Tell that the rollout waits for a person."""
    announce("ApprovalNeeded", plan.about(candidate, cause=reason))


def _subject(name: str, detail: Document) -> str:
    """What happened stands in it however long the names are; the text holds them whole."""
    target, room = _target(detail), _SUBJECT_ROOM - len(_HEADLINES[name])
    return f"Tidegate: {target if len(target) <= room else target[: room - 3] + '...'} {_HEADLINES[name]}"


def _text(name: str, detail: Document) -> str:
    target = _target(detail)
    to = f", version {detail['to_version']} is the candidate" if detail["to_version"] else ""
    versions = f"Version {detail['from_version']} is the stable one{to}." if detail["from_version"] else "It is new."
    said = [f"{target}: {_HEADLINES[name]}.", versions, detail.get("cause"), f"Execution: {detail['execution_arn']}"]
    if detail.get("proven_by"):
        said.insert(3, f"Proven by: {', '.join(detail['proven_by'])}.")
    if name == "ApprovalNeeded":
        said.append(f"Approve: tidegate approve {target}\nReject: tidegate reject {target}")
    return "\n\n".join(line for line in said if line)


def _target(detail: Document) -> str:
    return str(Alias(detail["function_name"], detail["alias_name"]))
