"""The names of the job's credentials, and of what may hold some: nothing that Nix starts has any use for them."""

from __future__ import annotations

import re

CREDENTIAL = re.compile(r"^(GITHUB_TOKEN|GH_TOKEN|INPUT_.*|ACTIONS_.*|NIX_REPRO_.*TOKEN.*)$")
