"""What several unit tests start from."""

import pytest

from tests.plans import PLAN


@pytest.fixture
def plan():
    """The default rollout of checkout:live, from version 1, started at second 0."""
    return PLAN
