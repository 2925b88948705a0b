"""Why two pieces differ: rules, which are pure functions of a pair and its builds, one file a cause.

What a rule answers becomes evidence here, and has its fix here; comparing trees is for compare/. May use what explain/
may use.
"""
