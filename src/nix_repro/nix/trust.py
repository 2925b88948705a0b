"""What this user is to a store, and which settings are the user's own."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

import msgspec


def told(info: str) -> bool | None:
    """Whether the store trusts this user, as `nix store info --json` says; None when it does not say."""
    try:
        said = msgspec.json.decode(info).get("trusted")
    except (msgspec.DecodeError, AttributeError):
        return None
    return None if said is None else bool(said)


def configured(trusted: Collection[str], store: str) -> bool:
    """The same from the setting `trusted-users`, for a Nix that does not say. Who may write to the store directory
    needs no trust."""
    import grp
    import pwd

    if os.getuid() == 0 or os.access(store, os.W_OK):
        return True
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())  # in a container, the user ID may have no name
    member = {os.getgid(), *os.getgroups()}
    groups = {f"@{group.gr_name}" for group in grp.getgrall() if group.gr_gid in member}
    return not {"*", name, *groups}.isdisjoint(trusted)


def user_files(env: Mapping[str, str]) -> str:
    """The user's own configuration files, as Nix finds them, for `NIX_USER_CONF_FILES`."""
    if (named := env.get("NIX_USER_CONF_FILES")) is not None:
        return named
    home = env.get("XDG_CONFIG_HOME") or os.path.join(env.get("HOME", "/"), ".config")
    directories = [home, *env.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    return ":".join(os.path.join(directory, "nix", "nix.conf") for directory in directories)
