"""Nix's internal-json log: lines → events → what a command did and when.

Reading and recording belong here, in bounded memory; what a build came to does not (build/outcome). Uses no other room.
"""
