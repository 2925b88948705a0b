from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example takes says nothing on a machine that has other work.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
