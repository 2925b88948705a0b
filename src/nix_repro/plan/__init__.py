"""What a run is about: installables → derivations, how far the scope reaches, and what differs from a base.

Nothing is built here, and nothing is judged. May use nix/.
"""
