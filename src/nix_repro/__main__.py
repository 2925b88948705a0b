"""`python -m nix_repro`."""

from .cli import main

main()
