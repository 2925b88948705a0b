"""Two trees → what differs, down to members of archives and bytes.

Only finds and cuts out; what a difference means is for causes/. Uses no other room.
"""
