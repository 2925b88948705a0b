"""Where results go: files, archives, diffoscope's pages, GitHub, and the renderings of the report.

Shows and stores the report, and never changes a verdict or an exit code. May use explain/ and the rooms below it.
"""
