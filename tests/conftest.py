"""For all tests: no setting of the developer's own environment, a budget for hypothesis, the real one's own races."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

for _name in [name for name in os.environ if name.startswith("QMPEMU_")]:
    del os.environ[_name]

settings.register_profile("steady", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test with `real` in its name, parameters or file runs the real one, which has races and crashes of its own.

    It is run again where it fails, twice at most. A test of ours alone never is.
    """
    for item in items:
        drawn = getattr(item, "callspec", None)
        if "real" in item.nodeid and (drawn is None or "ours" not in map(str, drawn.params.values())):
            item.add_marker(pytest.mark.flaky(reruns=2))
