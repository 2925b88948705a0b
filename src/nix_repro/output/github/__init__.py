"""GitHub: the event that started the job, what the runner reads, and the API.

Everything is derived from the report; whatever goes wrong here is a warning. May use what output/ may use.
"""
