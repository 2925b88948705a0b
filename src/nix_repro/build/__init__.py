"""The builds: the first one, the test suite, and what is held different between a build and its repetition.

What happened is observed here; what it means is not (verdict/). May use nix/ and plan/.
"""
