"""Events: what goes out, and an entry that EventBridge does not take is no success."""

import json

import pytest

from sandbox.aws.boundary import AwsError
from tidegate.aws import events
from tidegate.errors import AwsUnavailable, PermissionDenied

PUT = "events.PutEvents"


def test_an_event_goes_to_the_default_bus_in_this_projects_name(inhabit):
    world = inhabit()
    sent = []
    world.boundary.listen(lambda call: sent.extend(call.params["Entries"]))
    events.emit("WeightShifted", {"weight_percent": 10, "to_version": "2"})
    (entry,) = sent
    assert (entry["Source"], entry["DetailType"]) == ("tidegate", "WeightShifted")
    assert json.loads(entry["Detail"]) == {"version": "1", "weight_percent": 10, "to_version": "2"}
    assert "EventBusName" not in entry


def test_an_entry_that_eventbridge_did_not_take_is_to_be_sent_again(inhabit):
    """PutEvents answers 200 all the same: API reference, FailedEntryCount."""
    world = inhabit()
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "later"}]}
    world.boundary.serve(PUT, lambda _: refused)
    with pytest.raises(AwsUnavailable, match="could not send event RolloutStarted: InternalFailure"):
        events.emit("RolloutStarted", {})


def test_an_event_is_sent_again_once_and_takes_no_time_that_matters(inhabit):
    world = inhabit(faults=[{"call": PUT, "error": "lost_response", "times": "always"}])
    began = world.clock.now()
    with pytest.raises(AwsUnavailable):
        events.emit("RolloutStarted", {})
    assert world.boundary.calls[PUT] == 2
    assert world.clock.now() - began < 10


def test_an_event_that_may_not_be_sent_says_so(inhabit):
    world = inhabit()

    def refuse(_params, _proceed):
        raise AwsError("AccessDeniedException", "not authorized to perform: events:PutEvents", 403)

    world.boundary.correct(PUT, refuse)
    with pytest.raises(PermissionDenied, match="events:PutEvents"):
        events.emit("RolloutStarted", {})
