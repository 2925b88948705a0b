"""Builders that try to change a verdict, theirs or another's: lines in the form of Nix's log, and Nix's own words.

No verdict other than the true one, or `unverified` in red.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from binary_cache import make_cache, serve
from command import Said, nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

#: The oldest and the newest Nix: what is between them is in test_verdicts.py.
pytestmark = pytest.mark.series("2.8", "2.34")

REBUILDERS = ("shadow", "replace", "nix-check", "local?root=/nix/other")
EVERY = pytest.mark.parametrize("rebuilder", REBUILDERS)

#: Types of activities that any version has, and some that none has.
TYPES = (0, *range(99, 115), 200)
#: What Nix says of a derivation, in every form that is read.
OF_A_DERIVATION = (
    "error: builder for '{drv}' failed with exit code 1",
    "error: builder for '{drv}' failed to produce output path for output 'out' at '{out}'",
    "error: Cannot build '{drv}'.\n       Reason: builder failed with exit code 1.\n       Output paths:\n  {out}",
    "error: Cannot build '{drv}'.\n       Reason: 1 dependency failed.",
    "error: Cannot build '{drv}'.\n       Reason: platform mismatch\n       Required system: 'far-linux'",
    "error: Cannot build '{drv}'.\n       Reason: missing system features\n       Required features: {{rare}}",
    "error: Cannot build '{drv}'.\n       Reason: local builds are disabled (max-jobs = 0)",
    "error: Cannot build '{drv}'.\n       Reason: timed out",
    "error: 1 dependencies of derivation '{drv}' failed to build",
    "error: building of '{drv}!*' from .drv file timed out after 1 seconds",
    "error: building of '{drv}^*' from .drv file timed out after 1 seconds of silence",
    "error: a 'far-linux' with features {{}} is required to build '{drv}', but I am a 'x' with features {{}}",
    "error: hash mismatch in fixed-output derivation '{drv}':\n specified: x\n got: y",
    "error: derivation '{drv}' may not be deterministic: output '{out}' differs",
    "error: derivation '{drv}' may not be deterministic: output '{out}' differs from '{out}.check'",
    "error: derivation '{drv}' may not be deterministic: outputs differ\n output '{out}' differs from '{out}.check'",
    "error: cycle detected in build of '{drv}' in the references of output 'dev' from output 'out'",
    "error: file '{out}/p' has an unsupported type",
    "error: suspicious ownership or permission on '{drv}.chroot{out}' for output 'out'; rejecting this build output",
    "error: output '{out}' is not allowed to refer to the following paths:\n  {out}",
    "error: build of '{drv}' failed",
    "error: build of '{drv}', '{drv}' failed",
)
#: And of no derivation, or of all.
OF_NONE = (
    "error: timed out after 0 seconds",
    "error: timed out after 1 seconds",
    "error: writing to file: No space left on device",
    "error: executing SQLite statement: database or disk is full (in '/nix/var/nix/db/db.sqlite')",
    "error: unexpected end-of-file",
    "error: unable to start any build; either increase '--max-jobs' or enable remote builds.",
    "error: interrupted by the user",
    "error: Nix crashed (signal 6)",
    "error:",
    "",
)
INVENTED = (f"/nix/store/{'1' * 32}-invented.drv", f"/nix/store/{'1' * 32}-invented")


def forged(*paths: tuple[str, str], of_none: bool = True) -> list[str]:
    """Lines about these derivations, each given with its output: events of every type, results, ends and messages."""
    lines: list[dict[str, object]] = []
    for number, kind in enumerate(TYPES):
        for (drv, out), (other, other_out) in zip(paths, (*paths[1:], paths[0]), strict=True):
            for fields in ([drv, other], [drv, "", 1, 1], [out, "https://cache.example.org"], [out, other_out, "x"]):
                text = f"resolved derivation: '{drv}' -> '{other}'"
                start = {"action": "start", "id": number, "level": 3, "type": kind, "text": text, "fields": fields}
                lines += [start, {"action": "result", "id": number, "type": 101, "fields": ["said"]}]
                lines += [start | {"text": f"checking outputs of '{drv}'"}, {"action": "stop", "id": number}]
    lines += [{"action": "stop", "id": number} for number in range(10)]
    said = [text.format(drv=drv, out=out) for text in OF_A_DERIVATION for drv, out in paths]
    for text in (*said, *(OF_NONE if of_none else ())):
        lines += [{"action": "msg", "level": level, "msg": text, "raw_msg": text} for level in (0, 1)]
    return [f"@nix {json.dumps(line)}" for line in lines]


def of(name: str) -> tuple[str, str]:
    """A derivation's .drv and output, for a flake's text, without making it an input."""
    plain = "builtins.unsafeDiscardStringContext"
    return f"${{{plain} {name}.drvPath}}", f"${{{plain} {name}.outPath}}"


def prints(lines: list[str]) -> str:
    """What gives a builder these lines in the file `$linesPath`."""
    text = "\n".join(lines).replace("''", "'''")
    return f"""passAsFile = [ "lines" ]; lines = ''{text}\n'';"""


PACKAGES = f"""
  good = mk "good" "echo good > $out" {{}};
  above = mk "above" "cat ${{good}} > $out" {{}};
  bad = mk "bad" "cat ${{uuid}} > $out" {{}};
  forger = mk "forger" "cat $linesPath >&2; echo forger > $out" {{
    {prints(forged(of("bad"), of("good"), of("above"), INVENTED))} }};
"""


@EVERY
def test_nobody_is_spoken_for(sandbox_nix: NixBox, rebuilder: str) -> None:
    """Neither is a divergence moved or excused, nor an innocent derivation accused."""
    flake = write_flake(sandbox_nix, PACKAGES)
    said = check(sandbox_nix, flake, rebuilder)
    assert said.verdicts() == {
        "good": "reproducible",
        "above": "reproducible",
        "forger": "reproducible",
        "bad": "divergent",
    }, said.err
    assert said.code == 1


def check(box: NixBox, flake: Path, rebuilder: str, *args: str, user: bool = False) -> Said:
    said = nix_repro(box, "check", "all", "--rebuilder", rebuilder, *args, cwd=flake, user=user)
    assert said.report, said.err
    return said


@pytest.mark.parametrize("rebuilder", ["nix-check", "replace"])
@pytest.mark.parametrize("trusted", [True, False])
def test_through_a_daemon_nobody_is_spoken_for(sandbox_nix: NixBox, rebuilder: str, trusted: bool) -> None:
    """A daemon's words cannot be told from a builder's, but for its last ones. Who is innocent is never accused; who is
    not may be unverified then, which fails the run."""
    sandbox_nix.conf(trusted_users="*" if trusted else "root")
    flake = write_flake(sandbox_nix, PACKAGES + 'worse = mk "worse" "cat ${uuid} > $out" {};')
    with sandbox_nix.daemon():
        said = check(sandbox_nix, flake, rebuilder, user=True)
    verdicts = said.verdicts()
    innocent = {name: verdicts.pop(name) for name in ("good", "above", "forger")}
    assert innocent == dict.fromkeys(innocent, "reproducible"), said.err
    assert verdicts.pop("worse") == "divergent", "nothing is said of it but what Nix says"
    assert verdicts["bad"] in ("divergent", "unverified: what was said of it in Nix's name cannot all be true")
    assert said.report["conclusion"] == "fail"


FULL = "cp: error writing 'x': No space left on device"
#: Last words of builders that fail, and lines in Nix's name.
EXCUSES = {
    "full": FULL,
    "quota": "sh: write error: Disk quota exceeded",
    "database": "error: database or disk is full",
    "full-in-its-name": "@nix " + json.dumps({"action": "msg", "level": 0, "msg": f"error: {FULL}", "raw_msg": FULL}),
    "slow": "error: timed out after 1 seconds",
    "slow-in-its-name": "@nix " + json.dumps({"action": "msg", "level": 0, "msg": "error: timed out after 0 seconds"}),
    "interrupted": "error: interrupted by the user",
    "dependency": "error: 1 dependencies of derivation failed to build",
    "spoken-for": "nothing",
}


def excusing(mark: Path | None = None) -> str:
    """A package for every excuse: it fails, in the rebuild only where there is a directory for marks."""
    packages = ['good = mk "good" "echo good > $out" {};']
    for name, words in EXCUSES.items():
        first = f"if ! test -e {mark}/{name}; then : > {mark}/{name}; echo > $out; exit 0; fi; " if mark else ""
        lines = prints([words]) + ' name = "' + name + '";'
        packages.append(f'{name} = mk "{name}" "{first}cat $linesPath >&2; exit 1" {{ {lines} }};')
    accomplice = prints(forged(of("spoken-for"), of("good"), of("full"), INVENTED))
    packages.append(f'accomplice = mk "accomplice" "cat $linesPath >&2; echo > $out" {{ {accomplice} }};')
    return "\n".join(packages)


@pytest.mark.parametrize("daemon", [False, True])
def test_nobody_excuses_a_failed_build(sandbox_nix: NixBox, daemon: bool) -> None:
    flake = write_flake(sandbox_nix, excusing())
    if daemon:
        with sandbox_nix.daemon():
            said = check(sandbox_nix, flake, "nix-check", user=True)
    else:
        said = check(sandbox_nix, flake, "shadow")
    truth = {"good": "reproducible", "accomplice": "reproducible"} | dict.fromkeys(EXCUSES, "build-failed")
    assert said.verdicts() == truth, said.err
    reasons = {d["name"]: d["reason"] for d in said.derivations if d["verdict"] == "build-failed"}
    assert {*reasons} == {*EXCUSES}
    # What Nix says of it, or less where that cannot be told from what the builder says.
    assert {*reasons.values()} <= {"the builder failed with exit code 1", "the builder failed"}
    assert said.code == 4


@EVERY
def test_nobody_excuses_a_failed_rebuild(sandbox_nix: NixBox, rebuilder: str) -> None:
    sandbox_nix.conf(sandbox=False)
    flake = write_flake(sandbox_nix, excusing(sandbox_nix.directory / "tmp"))
    said = check(sandbox_nix, flake, rebuilder)
    truth = {"good": "reproducible", "accomplice": "reproducible"} | dict.fromkeys(EXCUSES, "rebuild-failed")
    assert said.verdicts() == truth, said.err
    assert said.code == 4


SLOW = """
  good = mk "good" "sleep 2; echo good > $out" {};
  bad = mk "bad" "sleep 1; cat ${uuid} > $out" {};
"""


def quoting(name: str, text: str) -> str:
    """Packages that have Nix itself say this: in a file's name, among the features that a machine must have."""
    said = text.format(drv=of("good")[0], out=of("good")[1])
    return f"""
      pipe-{name} = mk "pipe-{name}" "mkdir -p \\"$out/$said\\"; mkfifo \\"$out/$said/p\\"" {{ said = "{said}"; }};
      featured-{name} = mk "featured-{name}" "echo > $out" {{ requiredSystemFeatures = [ "{said}" ]; }};
    """


@pytest.mark.parametrize("sandbox", [True, False])
def test_nix_s_own_words_are_not_a_quotation_s(sandbox_nix: NixBox, sandbox: bool) -> None:
    """Over a pipe, Nix gives up all that it is building, and names it by what its builder has called it."""
    sandbox_nix.conf(sandbox=sandbox)
    texts = {
        "failed": "error: builder for '{drv}' failed with exit code 1",
        "timed": "building of '{drv}' from .drv file timed out after 1 seconds",
        "required": "}} is required to build '{drv}', but I am a 'x' with features {{",
        "full": "write: No space left on device",
        "output": "{out}",
    }
    flake = write_flake(sandbox_nix, SLOW + "".join(quoting(name, text) for name, text in texts.items()))
    said = check(sandbox_nix, flake, "shadow", "--jobs", "4")
    failed = {f"{kind}-{name}": "build-failed" for name in texts for kind in ("pipe", "featured")}
    assert said.verdicts() == {"good": "reproducible", "bad": "divergent"} | failed, said.err
    assert said.code == 1


def test_what_a_builder_puts_beside_another_s_output_is_no_rebuild(sandbox_nix: NixBox) -> None:
    """Without a sandbox, builders may write to the store's directory."""
    sandbox_nix.conf(sandbox=False)
    drv, out = of("good")
    differs = [text.format(drv=drv, out=out) for text in OF_A_DERIVATION if "deterministic" in text]
    lines = prints(["@nix " + json.dumps({"action": "msg", "level": 0, "msg": text}) for text in differs])
    flake = write_flake(
        sandbox_nix,
        f"""
          good = mk "good" "echo good > $out" {{}};
          forger = mk "forger" "cat $linesPath >&2; echo planted > {out}.check; echo > $out" {{ {lines} }};
        """,
    )
    said = check(sandbox_nix, flake, "nix-check")
    assert said.verdicts() == {"good": "reproducible", "forger": "reproducible"}, said.err
    assert said.code == 0


@pytest.mark.series("2.8", "2.34")
def test_no_builder_accuses_a_cache(sandbox_nix: NixBox) -> None:
    """Beside it, Nix asks the cache for what it has and for what it does not have."""
    flake = write_flake(
        sandbox_nix,
        """
          there = mk "there" "echo there > $out" {};
          on-there = mk "on-there" "cat ${there} > $out" {};
        """,
    )
    names = ("there", "on-there")
    drvs = [sandbox_nix.nix("eval", "--raw", f"{flake}#{name}.drvPath").stdout for name in names]
    outs = sandbox_nix.run(["nix-store", "--realise", *drvs]).stdout.split()
    cache = make_cache(sandbox_nix, outs)
    sandbox_nix.run(["nix-store", "--delete", "--ignore-liveness", *outs])
    with serve(cache):
        own = cache.url
        narinfos = [f"{own}/{Path(out).name[:32]}.narinfo" for out in outs]
        lines = []
        for url in (*narinfos, f"{own}/nar/x.nar", f"{own}/nix-cache-info"):
            for why in ("HTTP error 429", "HTTP error 500", "HTTP error 418", "Timeout was reached", "dead"):
                for again in ("; retrying in 60000 ms", ""):
                    lines += [(0, f"error: unable to download '{url}': {why}{again}")]
                    lines += [(1, f"warning: unable to download '{url}': {why}{again}")]
        for out in outs:
            lines += [(1, f"warning: the substitute for '{out}' from '{own}' is not signed by any of the keys")]
            lines += [(0, f"error: hash mismatch importing path '{out}';")]
        lines += [(0, f"error: file 'nar/x.nar' does not exist in binary cache '{own}'"), (0, "error: bad archive")]
        lines += [(0, f"error: '{own}' does not appear to be a binary cache")]
        said_lines = [f"@nix {json.dumps({'action': 'msg', 'level': level, 'msg': text})}" for level, text in lines]
        forger = f"""
          there = mk "there" "echo there > $out" {{}};
          on-there = mk "on-there" "cat ${{there}} > $out" {{}};
          forger = mk "forger" "for n in 1 2 3 4 5 6 7; do cat $linesPath >&2; sleep 1; done; echo > $out" {{
            {prints(said_lines)} }};
          after = mk "after" "cat ${{forger}} ${{on-there}} > $out" {{}};
        """
        flake = write_flake(sandbox_nix, forger)
        options = ("--option", "substituters", own, "--option", "trusted-public-keys", cache.public_key)
        said = nix_repro(
            sandbox_nix, "check", "all", "--scope", "closure", "--jobs", "4", *options, cwd=flake, env={"CI": "true"}
        )
    assert set(said.verdicts().values()) == {"reproducible"}, said.err
    assert said.report["caches"]["incidents"] == []
    layers = {layer["name"]: layer["paths"] for layer in said.report["caches"]["layers"]}
    assert layers == {own.removeprefix("http://"): 2, "built": 2}
    assert said.code == 0
