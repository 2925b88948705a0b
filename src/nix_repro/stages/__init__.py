"""The stages of a run, one a file: each takes the run, does its part, and leaves there what it found.

Order and end of the stages are in check.py; what a stage decides is decided below. May use every room but cli/.
"""
