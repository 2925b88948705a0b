"""Why two builds differ: both trees compared, a cause for each difference, and experiments that prove it.

Findings are values; who keeps them and shows them is elsewhere (output/). May use metrics/ and the rooms below it.
"""
