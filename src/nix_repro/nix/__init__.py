"""Nix itself: its commands, processes, derivations, store paths, and git's view of the flake that is checked.

Whatever starts Nix or reads what it printed belongs here; what a run concludes from it does not. Uses no other room.
"""
