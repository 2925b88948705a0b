"""The rebuilders, one a file: independent repetitions of builds, and what they share.

A rebuilder answers with attempts and trees; it decides no verdict, and nothing outside asks which one it is. May use
what build/ may use.
"""
