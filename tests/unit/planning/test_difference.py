"""Differences between two versions: every setting counts, of the environment the names alone, unknown is unknown."""

from dataclasses import replace

from tidegate.planning.difference import UNKNOWN, Configuration, Difference, differences, may_be_nothing

SETTINGS = {
    "code_sha256": "old",
    "runtime": "python3.12",
    "memory": 128,
    "layers": ["arn:layer:1"],
    "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/checkout"},
}
STABLE = Configuration(SETTINGS, {"A": "digest-1", "B": "digest-2", "C": "digest-3"})


def changed(**settings):
    return replace(STABLE, settings={name: each for name, each in {**SETTINGS, **settings}.items() if each is not None})


def test_a_version_differs_in_nothing_from_itself():
    assert differences(STABLE, replace(STABLE)) == ()


def test_every_difference_is_told_with_both_values():
    candidate = changed(memory=256, layers=None, dead_letter="arn:queue")
    assert differences(STABLE, candidate) == (
        Difference("memory", 128, 256),
        Difference("layers", ["arn:layer:1"], None),
        Difference("dead_letter", None, "arn:queue"),
    )


def test_a_setting_that_nobody_knows_here_counts_as_any_other():
    assert differences(STABLE, changed(QuantumConfig=["x"])) == (Difference("QuantumConfig", None, ["x"]),)


def test_of_a_setting_with_parts_those_are_told_that_differ():
    candidate = changed(
        LoggingConfig={"LogFormat": "JSON", "LogGroup": "/aws/lambda/checkout", "SystemLogLevel": "WARN"}
    )
    assert differences(STABLE, candidate) == (
        Difference("LoggingConfig", {"LogFormat": "Text"}, {"LogFormat": "JSON", "SystemLogLevel": "WARN"}),
    )
    assert differences(STABLE, changed(LoggingConfig=None)) == (
        Difference("LoggingConfig", SETTINGS["LoggingConfig"], None),
    )


def test_variables_are_told_by_name():
    candidate = replace(STABLE, environment={"A": "digest-1", "B": "digest-9", "D": "digest-4"})
    found = differences(STABLE, candidate)
    assert found == (
        Difference("environment variable B", "set", "set to another value"),
        Difference("environment variable C", "set", None),
        Difference("environment variable D", None, "set"),
    )
    assert "digest" not in repr(found) + repr(candidate)


def test_what_could_not_be_read_of_either_version_is_unknown_and_never_the_same():
    unread = replace(STABLE, environment={}, unknown=("environment",))
    for pair in ((STABLE, unread), (unread, STABLE), (unread, unread)):
        assert differences(*pair) == (Difference("environment", UNKNOWN, UNKNOWN),)


def test_a_description_alone_may_be_nothing():
    assert may_be_nothing(differences(STABLE, changed(Description="new")))
    assert not may_be_nothing(differences(STABLE, changed(Description="new", memory=256)))
    assert may_be_nothing(differences(STABLE, changed(Description="new", RuntimeVersionConfig={"arn": "moved"})))
    assert not may_be_nothing(())
