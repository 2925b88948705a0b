"""The ledger: what earlier runs have built, in one file that outlives them. It keeps and finds; what that is worth,
verdict/evidence.py decides."""
