"""Build twice, compare every output, say plainly what was found."""

__version__ = "1.0.0"
