"""Proof by experiment: what to try, carrying it out, and what the outcome proves.

Experiments return observations and findings; check.py judges them. May use what explain/ may use.
"""
