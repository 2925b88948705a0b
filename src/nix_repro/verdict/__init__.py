"""What observations mean: verdicts, what of them fails a run, and the user's own expressions over the report.

Pure decisions belong here: no clock, no store, no process but the one that runs jq. May use nix/, plan/ and build/.
"""
