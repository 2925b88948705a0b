"""`python -m nix_repro`."""

from nix_repro.cli import main

main()
