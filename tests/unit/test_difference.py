"""Differences between two versions: whatever makes a version, and of its environment the names alone."""

from dataclasses import replace

from rollout.difference import Configuration, Difference, differences

STABLE = Configuration(
    code_sha256="old",
    package_type="Zip",
    runtime="python3.12",
    architectures=("x86_64",),
    handler="app.handler",
    memory=128,
    timeout=3,
    ephemeral_storage=512,
    layers=("arn:layer:1",),
    role="arn:role",
    dead_letter=None,
    snap_start="None",
    environment={"A": "digest-1", "B": "digest-2", "C": "digest-3"},
)


def test_a_version_differs_in_nothing_from_itself():
    assert differences(STABLE, replace(STABLE)) == ()


def test_every_difference_is_told_with_both_values():
    candidate = replace(STABLE, memory=256, layers=(), dead_letter="arn:queue")
    assert differences(STABLE, candidate) == (
        Difference("memory", 128, 256),
        Difference("layers", ("arn:layer:1",), ()),
        Difference("dead_letter", None, "arn:queue"),
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
