"""Layers, hit rate, incidents and classes, from their facts alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.config import load, read_file
from nix_repro.metrics import change
from nix_repro.metrics.layers import attribute, hit_rate, layers
from nix_repro.nix.caches import incidents
from nix_repro.nix.caches.incidents import Complaint
from nix_repro.nix.caches.kinds import BUILT, LOCAL, recognise
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.nix.log.recorder import Activity
from nix_repro.plan.compare import Comparison, Root
from nix_repro.report import LockChange

_paths = st.sampled_from([f"/nix/store/{c * 32}-{c}" for c in "abcdfghij"])
_urls = st.sampled_from(
    ["http://127.0.0.1:37515", "https://x.cachix.org", "https://cache.nixos.org/", "s3://bucket?region=x"]
)


@given(st.sets(_paths), st.lists(st.tuples(_paths, _urls)), st.sets(_paths))
def test_every_path_is_in_exactly_one_layer(needed: set[str], attempts: list[tuple[str, str]], built: set[str]) -> None:
    fetched = [Activity(path, url, float(i), i + 0.5) for i, (path, url) in enumerate(attempts)]
    places = attribute(needed, fetched=fetched, built=built, upstream=["https://cache.nixos.org"])
    sizes = {path: len(path) for path in needed}
    rows = layers(places, sizes, fetched=fetched, builds=[])
    assert set(places) == needed
    assert sum(row.paths for row in rows) == len(needed)
    assert sum(row.bytes or 0 for row in rows) == sum(sizes.values())
    last = dict(attempts)
    for path, place in places.items():
        expected = (
            "built"
            if path in built
            else "local"
            if path not in last
            else "upstream"
            if "nixos.org" in last[path]
            else "project"
        )
        assert place.kind == expected


@pytest.mark.parametrize(
    ("url", "name", "kind"),
    [
        ("http://127.0.0.1:37515/?priority=1", "Magic Nix Cache", "project"),
        ("https://my-team.cachix.org", "Cachix my-team", "project"),
        ("https://cache.nixos.org/", "cache.nixos.org", "upstream"),
        ("file:///var/my%20cache?trusted=true", "directory /var/my cache", "project"),
        ("s3://bucket?endpoint=x", "S3 bucket bucket", "project"),
        ("ssh-ng://host", "store on host", "project"),
        ("https://attic.example:8080/main", "attic.example:8080", "project"),
    ],
)
def test_caches_are_recognised_by_url(url: str, name: str, kind: str) -> None:
    place = recognise(url, ["https://cache.nixos.org"])
    assert (place.name, place.kind) == (name, kind)


def drv(name: str, **env: str) -> Derivation:
    return Derivation(f"/nix/store/{name}.drv", name, "", "", (), env, {"out": DrvOutput(f"/nix/store/{name}")}, {}, ())


def test_hit_rate_counts_what_a_cache_could_have_had() -> None:
    everything = [
        drv("hit"),
        drv("missed"),
        drv("mine"),
        drv("local", preferLocalBuild="1"),
        drv("never", allowSubstitutes=""),
    ]
    outputs = {f"/nix/store/{d.name}": d for d in everything}
    places = dict.fromkeys(outputs, BUILT) | {"/nix/store/hit": LOCAL, "/nix/store/below": LOCAL}
    found = hit_rate(places, outputs, lambda d: d.name != "mine")
    assert (found.hits, found.possible, found.rate, found.missed) == (2, 3, 2 / 3, ("/nix/store/missed.drv",))
    assert hit_rate({}, {}, lambda _: True).rate is None
    assert hit_rate({"/nix/store/mine": BUILT}, outputs, lambda _: False).rate is None


CACHE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("message", "kind", "delay"),
    [
        (f"error: unable to download '{CACHE}/x.narinfo': HTTP error 418 ('I'm a Teapot')", "refused", None),
        (
            (
                f"unable to download '{CACHE}/x.narinfo': HTTP error 429\n\nresponse body:\n\nno; retrying in 73705 ms "
                "(attempt 1/5)"
            ),
            "rate-limited",
            73.705,
        ),
        (
            f"unable to download '{CACHE}/nar/x': HTTP error 200 ('OK') (curl error: Transferred a partial file)",
            "corrupt",
            None,
        ),
        (
            (
                f"unable to download '{CACHE}/x': Timeout was reached (28) Operation too slow; retrying in 253 ms "
                "(attempt 1/5)"
            ),
            "slow",
            0.253,
        ),
        (
            f"unable to download '{CACHE}/nix-cache-info': Could not connect to server (7) Failed to connect",
            "dead",
            None,
        ),
        (f"unable to download '{CACHE}/x': HTTP error 507", "full", None),
        (
            (
                f"the substitute for '/nix/store/a' from '{CACHE}' is not signed by any of the keys in "
                "'trusted-public-keys'"
            ),
            "untrusted",
            None,
        ),
        (
            f"ignoring substitute for '/nix/store/a' from '{CACHE}', as it's not signed by any of the keys in 'x'",
            "untrusted",
            None,
        ),
        (f"file 'nar/x.nar' does not exist in binary cache '{CACHE}'", "corrupt", None),
        ("hash mismatch importing path '/nix/store/a';\n  specified: sha256:x", "corrupt", None),
        (f"error: NAR info file '{'a' * 32}.narinfo' is corrupt: StorePath missing", "corrupt", None),
        ("error: 'xx' is too short to be a valid store path", "corrupt", None),
        ("error: signature is not valid", "corrupt", None),
        ("error: failed to get libarchive filter by name: No such filter 'foo'", "corrupt", None),
        (f"'{CACHE}' does not appear to be a binary cache", "dead", None),
        (f"binary cache '{CACHE}' is for Nix stores with prefix '/gnu/store', not '/nix/store'", "dead", None),
        ("error: failed to start SSH connection to 'host'", "dead", None),
    ],
)
def test_troubles_in_the_words_of_each_version(message: str, kind: str, delay: float | None) -> None:
    found = incidents.read(message)
    assert found is not None
    assert (found.kind, found.delay) == (kind, delay)


@pytest.mark.parametrize(
    "message",
    ["building '/nix/store/a.drv'...", "error: builder for '/nix/store/a.drv' failed", "", "HTTP error 500 in a log"],
)
def test_other_messages_are_no_trouble(message: str) -> None:
    assert incidents.read(message) is None


def test_an_incident_is_one_line_with_cost_and_remedy() -> None:
    waits = [incidents.read(f"unable to download '{CACHE}/{i}': HTTP error 500; retrying in 1000 ms") for i in range(3)]
    rows = [Complaint(CACHE, trouble, 100.0 + i / 2) for i, trouble in enumerate(waits) if trouble is not None]
    (found,) = incidents.gather(rows, {CACHE: 101.5}, 200.0)
    assert found.line().startswith(
        f"{CACHE}: answered 500 3 times; cost 1.5 s; it was left out of the rest of this run. To do: "
    )
    assert "\n" not in found.line()
    slow = incidents.read(f"unable to download '{CACHE}/x': Timeout was reached (28); retrying in 250 ms")
    assert slow is not None
    (found,) = incidents.gather([Complaint(CACHE, slow, 100.0, waited=8.0)], {CACHE: 100.0}, 200.0)
    assert found.seconds == 8.0


def root(kind: str, name: str = "", drv_name: str = "app") -> Root:
    return Root(f"/nix/store/{drv_name}.drv", drv_name, kind, name, "a", "b")


OWN = {"/nix/store/app.drv", "/nix/store/python3-3.12.drv"}


@pytest.mark.parametrize(
    ("change_root", "files", "repository", "lock", "expected"),
    [
        (root("source"), ["README.md"], None, False, "none"),
        (root("source"), [".github/workflows/ci.yml", "docs/a.png", "LICENSE"], None, False, "none"),
        (root("source"), ["README.md", "src/main.c"], None, False, "partial"),
        (root("source"), ["readme.c"], None, False, "partial"),
        (root("source"), ["src/security.py"], None, False, "partial"),
        (root("source"), ["LICENSE-MIT", "Readme.rst"], None, False, "none"),
        (root("source", drv_name="project-docs-1.0"), ["intro.md"], None, False, "partial"),
        (root("source"), None, None, False, "partial"),
        (root("source"), ["flake.lock", "README.md"], None, True, "full"),
        (root("environment", "CFLAGS"), None, {"flake.nix"}, False, "partial"),
        (root("environment", "CFLAGS"), None, {"flake.lock"}, True, "full"),
        (root("environment", "version", "openssl"), None, None, False, "full"),
        (root("environment", "version", "python3-3.12"), None, None, False, "full"),
        (root("input", "gcc-14"), None, None, False, "full"),
        (root("input", "zlib"), None, None, False, "partial"),
        (root("builder"), None, None, False, "full"),
    ],
)
def test_classes(
    change_root: Root, files: list[str] | None, repository: set[str] | None, lock: bool, expected: str
) -> None:
    moved = [LockChange(input="dep", old_rev="a", new_rev="b", old_date=None, new_date=None)] if lock else []
    assert change.classify(change_root, files, change.ChangeContext(repository, moved, OWN)) == expected


def test_lock_changes_with_revisions_dates_and_blast() -> None:
    def lock(rev: str, at: int) -> str:
        locked = {"locked": {"rev": rev, "lastModified": at}}
        return json.dumps({"nodes": {"nixpkgs": locked, "root": {"inputs": {"nixpkgs": "nixpkgs"}}}, "root": "root"})

    (moved,) = change.lock_changes(lock("4f2e" * 10, 1767312000), lock("9a1c" * 10, 1772582400))
    touched = Comparison(
        {f"/nix/store/{i}.drv": None for i in range(3)}, {f"/nix/store/{i}.drv": root("builder") for i in range(3)}
    )
    (sized,) = change.with_blast([moved], touched, {root("builder"): "full"})
    assert change.lock_line(sized) == "nixpkgs 4f2e4f2→9a1c9a1 (2026-01-02 → 2026-03-04): 3 derivations"
    assert change.with_blast([moved, moved], touched, {root("builder"): "full"}) == (moved, moved)
    for broken in (
        "",
        "{",
        "[]",
        '{"nodes": 3}',
        '{"nodes": {"a": 3}}',
        '{"nodes": {"a": {"locked": {"rev": ["x"], "lastModified": "y"}}}}',
    ):
        assert all(row.new_date is None for row in change.lock_changes(None, broken))
    assert change.lock_changes(lock("a", 1), lock("a", 1)) == []


def test_inputs_of_inputs_are_named_by_the_way_to_them() -> None:
    """A new input makes Nix call the old ones otherwise: `nixpkgs` is the new one's then, and ours is `nixpkgs_2`."""

    def lock(**inputs: tuple[str, dict[str, str | list[str]]]) -> str:
        return json.dumps(
            {
                "nodes": {name: {"locked": {"rev": rev}, "inputs": ins} for name, (rev, ins) in inputs.items()},
                "root": "root",
            }
        )

    before = lock(root=("", {"nixpkgs": "nixpkgs"}), nixpkgs=("a", {}))
    after = lock(
        root=("", {"nixpkgs": "nixpkgs_2", "abc": "abc"}),
        abc=("c", {"nixpkgs": "nixpkgs"}),
        nixpkgs=("b", {}),
        nixpkgs_2=("a", {}),
    )
    assert [(row.input, row.old_rev, row.new_rev) for row in change.lock_changes(before, after)] == [
        ("abc", None, "c"),
        ("abc/nixpkgs", None, "b"),
    ]
    follows = lock(
        root=("", {"nixpkgs": "nixpkgs", "abc": "abc"}), abc=("c", {"nixpkgs": ["nixpkgs"]}), nixpkgs=("a", {})
    )
    assert [(row.input, row.new_rev) for row in change.lock_changes(after, follows)] == [("abc/nixpkgs", None)]
    circle = lock(root=("", {"a": "a"}), a=("1", {"root": "root", "a": "a"}))
    assert [row.input for row in change.lock_changes(None, circle)] == ["a"]


def test_what_is_new_is_a_part() -> None:
    assert (change.worst([], new=False), change.worst([], new=True)) == ("none", "partial")
    assert (change.worst(["none"], new=True), change.worst(["full"], new=True)) == ("partial", "full")


def test_the_configuration_in_the_documentation_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "caching.md").read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if b.startswith("targets:")]
    file = tmp_path / ".nix-repro.yml"
    file.write_text(block)
    config = load([read_file(file)])
    assert len(config.targets) == 3
    assert len(config.fail_when) == 2
    assert config.test == "checks"


def test_the_defaults_in_the_documentation_are_the_real_ones() -> None:
    from nix_repro.metrics.targets import DEFAULTS
    from nix_repro.settings import duration

    text = (Path(__file__).parents[3] / "docs" / "caching.md").read_text(encoding="utf-8")
    for name, limits in DEFAULTS.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*\| (\S+) \| (\S+) \| (\S+) \| [^|]+ \|$", text, re.MULTILINE)
        assert [duration(cell) for cell in row] == [limits.get(phase) for phase in ("build", "test", "total")]
