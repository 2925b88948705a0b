"""Why two builds of an output differ."""

from nix_repro.explain.budget import Budget
from nix_repro.explain.context import Context, Input, Side
from nix_repro.explain.engine import explain_output

__all__ = ["Budget", "Context", "Input", "Side", "explain_output"]
