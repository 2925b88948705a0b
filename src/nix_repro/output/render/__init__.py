"""The report in every form that is shown, one pure function a place; templates and escaping with them.

Reads the report and nothing else: no file, no clock, no store. May use what output/ may use.
"""
