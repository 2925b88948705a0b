"""What is wrong with this machine, this Nix and this checkout: each symptom with its remedy. Reads only.

Checks and what they say belong here; how that is shown is in output/render/. May use nix/ and plan/.
"""
