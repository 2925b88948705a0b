"""Binary caches: which kind is behind a URL, what they have, and running Nix so that none can fail or stall it.

Asking caches and watching them belongs here; hit rates and layers do not (metrics/). Uses no other room.
"""
