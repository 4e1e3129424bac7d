"""Why a rollout stops, as a tree whose branches are decisions.

    RolloutError
    ├── Rejected                    traffic never moved, and will not
    │   ├── RequestInvalid          the request cannot be understood; lists every violation
    │   ├── ProfileNotFound         no profile of that name and version in this account and region
    │   ├── FunctionNotFound        no such function in this account and region
    │   ├── AliasNotFound           no such alias of the function
    │   ├── AliasNotReady           the alias is not on one published version at 100 %
    │   ├── RolloutRunning          another rollout of this alias holds the lock
    │   ├── AlarmUnusable           an alarm that should guard the rollout cannot
    │   ├── AlarmFiring             an alarm fires already, so it could not tell harm
    │   ├── MetricUnusable          a metric that is to be judged, of which nothing was ever seen
    │   ├── HookUnusable            a function that should be asked cannot be
    │   ├── StableUnusable          the version to fall back on could not serve
    │   ├── PlanTooLong             the plan does not fit one execution's history
    │   ├── FunctionNotPublishable  $LATEST must not, or cannot, be published
    │   ├── CodeChanged             $LATEST is not the code that was asked for
    │   ├── VersionNotFound         the version to adopt does not exist
    │   ├── VersionUnusable         the candidate cannot become Active
    │   ├── VersionKnownBad         a verdict spoke against this version before
    │   ├── VersionsIncompatible    Lambda would not let one alias hold both versions
    │   ├── SmokeTestFailed         the candidate failed before it got any traffic
    │   └── SmokeTestInvalid        its expression cannot be held against the answer: that convicts no version
    ├── Interrupted                 somebody else acted: stop, take back only what is still ours
    │   ├── AliasMoved              the alias is not as this rollout left it
    │   └── LockLost                another execution holds this alias's lock
    ├── Transient                   try again soon
    │   ├── AwsUnavailable          a server error, or no answer in time
    │   │   └── AwsThrottled        too many requests just now: that is no sign of anything
    │   ├── FunctionUpdating        Lambda is still changing the function
    │   ├── VersionPending          the candidate is still being made ready
    │   ├── ProvisioningPending     the alias's provisioned concurrency is not ready yet
    │   └── LedgerUnavailable       the alias is promoted, and only its record is still open
    ├── PromotionPaused             paused between the verdict and the promotion: held, not ended
    ├── PromotionDelayed            throttled between the verdict and the promotion: looked at meanwhile
    ├── HookFailed                  the user's own function says no, or leaves it unsaid
    ├── ProvisioningFailed          the promoted version's provisioned concurrency cannot be had
    ├── PermissionDenied            AWS says this role may not; trying again will not help
    ├── VersionFailed               Lambda puts no alias on a version in State Failed
    ├── AwsRefused                  any other refusal; `code` is AWS's own
    ├── LedgerUnreadable            an item of the ledger is not what it should be; needs a person
    └── RestoreFailed               the stable version could not be restored; needs a person

Lambda reports an exception to Step Functions by its bare class name, and `ErrorEquals` knows no
inheritance: the names of what is raised are the state machine's contract.
"""

from __future__ import annotations


class RolloutError(Exception):
    """Anything that stops a rollout. The message is one sentence: what, which resource, what to do next."""


class Rejected(RolloutError):
    """Traffic never moved, and will not."""


class RequestInvalid(Rejected):
    """The request cannot be understood; the message lists every violation."""


class ProfileNotFound(Rejected):
    """No profile of that name and version in this account and region."""


class FunctionNotFound(Rejected):
    """No such function in this account and region."""


class AliasNotFound(Rejected):
    """No such alias of the function."""


class AliasNotReady(Rejected):
    """The alias is not on one published version at 100 %, or is of a kind that cannot be weighted yet."""


class RolloutRunning(Rejected):
    """Another rollout of this alias holds the lock."""


class AlarmUnusable(Rejected):
    """An alarm that should guard the rollout does not exist or cannot be evaluated."""


class AlarmFiring(Rejected):
    """An alarm fires already, so it could not tell harm."""


class MetricUnusable(Rejected):
    """A metric of the user's that is to be judged, and of which nothing was seen in the day before."""


class HookUnusable(Rejected):
    """A function that should be asked does not exist, or Tidegate may not ask it."""


class StableUnusable(Rejected):
    """The version to fall back on could not serve."""


class PlanTooLong(Rejected):
    """The plan does not fit into one execution's history or time, or its states."""


class FunctionNotPublishable(Rejected):
    """$LATEST must not be published as it is, or Lambda has no room for another version."""


class CodeChanged(Rejected):
    """$LATEST is not the code that was asked for."""


class VersionNotFound(Rejected):
    """The version to adopt does not exist."""


class VersionUnusable(Rejected):
    """The candidate cannot become Active."""


class VersionKnownBad(Rejected):
    """A verdict spoke against this version before."""


class VersionsIncompatible(Rejected):
    """Lambda would not let one alias hold both versions."""


class SmokeTestFailed(Rejected):
    """The candidate failed before it got any traffic."""


class SmokeTestInvalid(Rejected):
    """The request's expression cannot be held against what the candidate answered."""


class Interrupted(RolloutError):
    """Somebody else acted: stop, restore only what is still ours."""


class AliasMoved(Interrupted):
    """The alias is not as this rollout left it."""


class LockLost(Interrupted):
    """Another execution holds this alias's lock."""


class PromotionPaused(RolloutError):
    """Somebody paused the rollout between the verdict and the promotion: it is held, not ended."""


class PromotionDelayed(RolloutError):
    """AWS throttles the promotion: the rollout is looked at meanwhile, and promoted later."""


class Transient(RolloutError):
    """Try again soon."""


class AwsUnavailable(Transient):
    """A server error, or no answer in time."""


class AwsThrottled(AwsUnavailable):
    """Too many requests just now, whoever makes them: that says nothing of the request, and nothing of a version."""


class FunctionUpdating(Transient):
    """Lambda is still changing the function."""


class VersionPending(Transient):
    """The candidate is still being made ready."""


class ProvisioningPending(Transient):
    """The provisioned concurrency of the alias's own version is not ready yet: the one before still serves."""


class LedgerUnavailable(Transient):
    """The alias is promoted, and only its record is still open."""


class HookFailed(RolloutError):
    """The user's own function says no, or leaves it unsaid; the stable version is restored."""


class ProvisioningFailed(RolloutError):
    """The promoted version's provisioned concurrency cannot be had; the stable one still gets the traffic."""


class PermissionDenied(RolloutError):
    """AWS says this role may not; trying again will not help."""


class VersionFailed(RolloutError):
    """Lambda puts no alias on a version in State Failed: another refusal than that of a busy function."""


class AwsRefused(RolloutError):
    """A refusal by AWS that no adapter expected. `code` is AWS's own error code."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class LedgerUnreadable(RolloutError):
    """An item of the ledger is not what it should be; the message says what a person should do."""


class RestoreFailed(RolloutError):
    """The stable version could not be restored; the message holds the command for a person to run."""


#: What says nothing of the request: trying again, a permission or a person may help.
TROUBLES = frozenset(
    error.__name__
    for error in (
        *Transient.__subclasses__(),
        AwsThrottled,
        PermissionDenied,
        VersionFailed,
        AwsRefused,
        LedgerUnreadable,
    )
)
#: Verdicts by which a version is remembered as bad although it never got traffic.
CONVICTING = frozenset({SmokeTestFailed.__name__})


_TOLD: tuple[type[RolloutError], ...] = (
    Rejected,
    *Rejected.__subclasses__(),
    PermissionDenied,
    VersionFailed,
    AwsRefused,
)

#: What PlanRollout itself tells of; trying again changes none of it.
REFUSALS = frozenset(error.__name__ for error in _TOLD)
