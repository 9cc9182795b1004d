"""How often a property is tried: few times, and the same examples every time. Set UNIPIXEL_EXAMPLES to look
longer."""

import os

from hypothesis import HealthCheck, settings

ASKED = os.environ.get("UNIPIXEL_EXAMPLES")
few = settings(
    max_examples=int(ASKED or 25),
    derandomize=ASKED is None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
