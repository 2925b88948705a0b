"""The commands, one a file, and what the action runs: options → configuration → a run → results.

Parsing and exit codes belong here, and nothing that a library user would miss. May use every room.
"""
