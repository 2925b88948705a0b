"""Which of Nix's settings a run passes on, and from whom: what is in no list here is refused, so that a setting of a
newer Nix is not one that nobody has looked at.

Nobody's words make Nix load a plugin, start a program of their choice or write a file of their choice. That stays with
nix.conf, which whoever answers for the machine has written.
"""

from __future__ import annotations

#: How fast, how long and how loudly Nix works: never what code runs, who is believed, or what is read.
HARMLESS = frozenset(
    [
        "always-allow-substitutes",
        "builders-use-substitutes",
        "compress-build-log",
        "connect-timeout",
        "cores",
        "download-attempts",
        "download-buffer-size",
        "download-speed",
        "eval-cache",
        "eval-cores",
        "experimental-features",
        "fallback",
        "fsync-metadata",
        "fsync-store-paths",
        "http-connections",
        "http2",
        "keep-build-log",
        "lazy-trees",
        "lint-absolute-path-literals",
        "lint-short-path-literals",
        "lint-url-literals",
        "log-lines",
        "max-build-log-size",
        "max-call-depth",
        "max-jobs",
        "max-silent-time",
        "max-substitution-jobs",
        "nar-buffer-size",
        "narinfo-cache-meta-ttl",
        "narinfo-cache-negative-ttl",
        "narinfo-cache-positive-ttl",
        "preallocate-contents",
        "print-missing",
        "show-trace",
        "stalled-download-timeout",
        "substitute",
        "tarball-ttl",
        "timeout",
        "trace-import-from-derivation",
        "use-registries",
        "warn-dirty",
        "warn-large-path-threshold",
        "warn-short-path-literals",
    ]
)
#: What makes Nix stricter with this value, and less strict with any other.
STRICT = {
    "accept-flake-config": "false",
    "allow-import-from-derivation": "false",
    "allow-new-privileges": "false",
    "filter-syscalls": "true",
    "pure-eval": "true",
    "require-sigs": "true",
    "restrict-eval": "true",
    "sandbox": "true",
    "sandbox-fallback": "false",
}
#: What weakens the sandbox or evaluation, names caches, machines and files, or spends their credentials: for whoever
#: answers for the run, in a flag or an input.
TRUSTED = frozenset(
    [
        "access-tokens",
        "allow-dirty",
        "allow-dirty-locks",
        "allow-import-from-derivation",
        "allowed-impure-host-deps",
        "allowed-uris",
        "auto-allocate-uids",
        "auto-optimise-store",
        "build-dir",
        "build-poll-interval",
        "builders",
        "eval-system",
        "extra-platforms",
        "filter-syscalls",
        "flake-registry",
        "gc-reserved-space",
        "hashed-mirrors",
        "id-count",
        "ignored-acls",
        "impersonate-linux-26",
        "keep-derivations",
        "keep-env-derivations",
        "keep-failed",
        "keep-outputs",
        "max-free",
        "min-free",
        "min-free-check-interval",
        "netrc-file",
        "nix-path",
        "pure-eval",
        "require-drop-supplementary-groups",
        "require-sigs",
        "restrict-eval",
        "sandbox",
        "sandbox-build-dir",
        "sandbox-dev-shm-size",
        "sandbox-fallback",
        "sandbox-paths",
        "ssl-cert-file",
        "start-id",
        "substituters",
        "sync-before-registering",
        "system",
        "system-features",
        "trust-tarballs-from-git-forges",
        "trusted-public-keys",
        "trusted-substituters",
        "use-cgroups",
        "use-sqlite-wal",
        "user-agent-suffix",
    ]
)


def plain_name(name: str) -> str:
    """The setting that is set, or added to: `extra-` before a name adds."""
    return name if name == "extra-platforms" else name.removeprefix("extra-")


def passable(name: str, value: str) -> bool:
    """Whether a run passes this on to Nix at all."""
    return plain_name(name) in TRUSTED or harmless(name, value)


def harmless(name: str, value: str) -> bool:
    """Whether anybody may say this, even the author of a change that is to be checked."""
    name = plain_name(name)
    return name in HARMLESS or STRICT.get(name) == value
