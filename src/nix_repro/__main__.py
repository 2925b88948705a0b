"""`python -m nix_repro`."""

from nix_repro.cli.app import main

main()
