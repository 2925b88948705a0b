"""Time and caches: phases, scenario, targets, layers, hit rate, why anything was built, and the history of these.

Measuring is pure: facts in, measurements out. No verdict is made here. May use verdict/ and the rooms below it.
"""
