"""Profiles: the parameter of that name and version, and what is none."""

import json

import pytest

from tidegate.aws import profiles
from tidegate.errors import AwsUnavailable, PermissionDenied, ProfileNotFound, RequestInvalid

PROFILE = {"alias_name": "live"}
NAME = "/tidegate/profiles/prod-api"


@pytest.fixture
def stored(inhabit, somebody):
    """A profile of two versions; the world of it."""
    world = inhabit(profiles={"prod-api": PROFILE})
    somebody("ssm.put_parameter", Name=NAME, Type="String", Value=json.dumps({"force": True}), Overwrite=True)
    return world


def test_the_newest_version_is_read_with_its_number(stored):
    found = profiles.read("prod-api")
    assert (str(found), found.document) == ("prod-api:2", {"force": True})
    assert stored.boundary.calls["ssm.GetParameter"] == 1


@pytest.mark.usefixtures("stored")
def test_a_version_is_read_by_ssms_own_notation():
    found = profiles.read("prod-api:1")
    assert (str(found), found.document) == ("prod-api:1", PROFILE)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("name", ["gone", "prod-api:9"])
def test_a_profile_that_is_not_there_says_where_it_should_be(name):
    with pytest.raises(ProfileNotFound) as refused:
        profiles.read(name)
    assert str(refused.value) == (
        f"no profile {name}: there is no parameter /tidegate/profiles/{name} in us-east-1: store it there, or correct"
        " the request's profile"
    )


def test_what_is_encrypted_is_not_decrypted_and_says_so(inhabit, somebody):
    inhabit()
    somebody("ssm.put_parameter", Name=NAME, Type="SecureString", Value="{}")
    with pytest.raises(RequestInvalid, match="is a SecureString: store it as a String"):
        profiles.read("prod-api")


@pytest.mark.parametrize(
    ("error", "becomes"), [("ThrottlingException", AwsUnavailable), ("AccessDeniedException", PermissionDenied)]
)
def test_refusals_are_translated(inhabit, error, becomes):
    inhabit(profiles={"prod-api": PROFILE}, faults=[{"call": "ssm.GetParameter", "error": error, "times": "always"}])
    with pytest.raises(becomes, match="could not read parameter /tidegate/profiles/prod-api"):
        profiles.read("prod-api")
