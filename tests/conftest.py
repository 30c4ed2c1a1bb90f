"""For all tests: children find no setting of the developer's own environment, and hypothesis keeps to a budget."""

from __future__ import annotations

import os

from hypothesis import settings

for _name in [name for name in os.environ if name.startswith("QMPEMU_")]:
    del os.environ[_name]

settings.register_profile("steady", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("steady")
