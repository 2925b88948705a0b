"""What the configuration allows every command of Nix that builds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How Nix may work. `timeout` is in seconds for one build; None leaves Nix's own setting."""

    jobs: str | None = None
    cores: int | None = None
    timeout: int | None = None

    def args(self) -> list[str]:
        pairs = (("--max-jobs", self.jobs), ("--cores", self.cores), ("--timeout", self.timeout))
        return [word for flag, value in pairs if value is not None for word in (flag, str(value))]
