"""What the user names → .drv paths. Evaluates once; the .drv files are the truth from then on, because a dirty tree
or a file written into the checkout would give another derivation the next time (measured)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nix_repro.errors import UsageError
from nix_repro.nix.caches.resilient import Realiser
from nix_repro.nix.checkout import complaint
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.store_path import containing, is_derivation
from nix_repro.text import last_error

#: Flake outputs that hold attributes by system or by host: a path that starts with one is complete.
_TOP_LEVEL = frozenset(
    (
        "packages",
        "checks",
        "devShells",
        "legacyPackages",
        "hydraJobs",
        "nixosConfigurations",
        "darwinConfigurations",
        "homeConfigurations",
    )
)
#: A derivation's .drv path, or what else it is.
_WHAT = """d: if d.type or null == "derivation" && builtins.isString (d.drvPath or null) then d.drvPath
  else { kind = builtins.typeOf d; names = if builtins.isAttrs d then builtins.attrNames d else []; }"""
_WHAT_EACH = f"builtins.mapAttrs (name: {_WHAT})"
#: The same of so many attributes from that one on, in the order of their names, null where an attribute throws.
_WHAT_SOME = f"""set: let
  what = {_WHAT};
  names = builtins.attrNames set;
  each = name: let found = builtins.tryEval (let it = what set.${{name}}; in builtins.deepSeq it it);
    in {{ inherit name; value = if found.success then found.value else null; }};
in builtins.listToAttrs (builtins.genList (i: each (builtins.elemAt names (FIRST + i))) COUNT)"""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"$')
#: Links that are followed to the store.
_LINKS = 40
#: Names of attributes that are shown.
_SHOWN = 5


def _nobody(_text: str) -> None:
    pass


def evaluate(
    realiser: Realiser,
    installables: Sequence[str],
    cwd: Path,
    warn: Callable[[str], None] = _nobody,
    broken: Callable[[str, str], None] | None = None,
) -> dict[str, str]:
    """The .drv path of every installable, by attribute path (`packages.x86_64-linux.default`) or as it was named.

    `all` means every package and check of this system in the flake of `cwd`; `warn` hears what of it is no derivation
    and left out, and `broken` the attribute paths that do not evaluate, each with Nix's words. Raises `UsageError` with
    Nix's own words, naming the installable; without `broken` for those too.
    """
    found: dict[str, str] = {}
    for installable in installables:
        if installable == "all" or installable.endswith("#all"):
            flake = installable.removesuffix("all").removesuffix("#") or "."
            found |= _everything(realiser, flake, cwd, warn=warn, broken=broken)
        else:
            name, drv_path = _one(realiser, installable, cwd)
            found[name] = drv_path
    return found


def _one(realiser: Realiser, installable: str, cwd: Path) -> tuple[str, str]:
    nix = realiser.nix
    # All outputs are looked at, whichever were named.
    plain = installable.partition("^")[0]
    plain = plain.partition("!")[0] if ".drv!" in plain else plain
    plain = _in_store(nix, plain, cwd) or plain
    if plain.startswith("/") and plain.endswith(".drv"):
        if not is_derivation(plain, nix.store_dir()) or not Path(plain).is_file():
            raise UsageError(f"{installable}: there is no such derivation")
        return plain, plain
    if plain.startswith(f"{nix.store_dir()}/") and "#" not in plain:
        return plain, _deriver(nix, installable, plain)
    flake, _, attr = plain.partition("#")
    last = f"{installable}: "
    for candidate in _candidates(attr, nix):
        try:
            what = _eval(realiser, f"{flake or '.'}#{candidate}", _WHAT, cwd)
        except NixError as error:
            if "does not provide attribute" not in str(error):
                raise _failed(installable, error, cwd) from None
            last = f"{installable}: {_first_error(str(error))}"
            continue
        name = candidate if flake in ("", ".") else f"{flake}#{candidate}"
        if (drv_path := _drv_path(nix, name, what)) is None:
            raise UsageError(f"{installable}: {candidate} is {_kind(what)}, not a derivation")
        return name, drv_path
    raise UsageError(last)


def _in_store(nix: Nix, text: str, cwd: Path) -> str | None:
    """The store path that is named, or that a link such as ./result leads to, as Nix takes it: never for a flake."""
    if "/" not in text or "#" in text:
        return None
    path = os.path.join(cwd, text)
    for _ in range(_LINKS):
        if (found := containing(path, nix.store_dir())) is not None:
            return found
        if not os.path.islink(path):
            return None
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    return None


def _drv_path(nix: Nix, name: str, what: Any) -> str | None:
    """The .drv path of an attribute, None for what is no derivation. A flake may give any value for it, and Nix is
    going to be asked about it."""
    match what:
        case str() if is_derivation(what, nix.store_dir()):
            return what
        case {"kind": str(), "names": [*names]} if all(isinstance(name, str) for name in names):
            return None
        case _:
            raise UsageError(f"{name}: it calls itself a derivation, but its drvPath is no derivation: {what!r:.200}")


def _kind(what: dict[str, Any]) -> str:
    names = ", ".join(map(_quoted, what["names"][:_SHOWN])) + (", …" if len(what["names"]) > _SHOWN else "")
    kind = what["kind"] if what["kind"] != "lambda" else "function"
    article = "an" if kind[0] in "aeiou" else "a"
    return f"a set ({names or 'empty'})" if kind == "set" else f"{article} {kind}"


def _candidates(attr: str, nix: Nix) -> list[str]:
    """The attribute paths that Nix itself tries, in its order. Asking one by one tells which it was."""
    system = nix.settings()["system"]
    attr = attr or "default"
    if attr.split(".", 1)[0] in _TOP_LEVEL:
        return [attr]
    legacy = [f"defaultPackage.{system}"] if attr == "default" else []
    return [f"packages.{system}.{attr}", *legacy, f"legacyPackages.{system}.{attr}", attr]


def flake_checks(realiser: Realiser, cwd: Path, broken: Callable[[str, str], None]) -> dict[str, str]:
    """The .drv paths of the checks of this system in the flake of `cwd`; `broken` hears which do not evaluate. Raises
    `UsageError` when it has none."""
    return _everything(realiser, ".", cwd, ("checks",), broken=broken)


def _everything(
    realiser: Realiser,
    flake: str,
    cwd: Path,
    kinds: Sequence[str] = ("packages", "checks"),
    warn: Callable[[str], None] = _nobody,
    broken: Callable[[str, str], None] | None = None,
) -> dict[str, str]:
    nix = realiser.nix
    system = nix.settings()["system"]
    found: dict[str, str] = {}
    thrown: dict[str, str] = {}
    for output in (f"{kind}.{system}" for kind in kinds):
        prefix = "" if flake == "." else f"{flake}#"
        throws: dict[str, str] = {}
        try:
            attributes = _eval(realiser, f"{flake}#{output}", _WHAT_EACH, cwd)
        except NixError as error:
            if "does not provide attribute" in str(error):
                continue
            if broken is None:
                raise _failed(f"{flake}#{output}", error, cwd) from None
            attributes, throws = _apart(realiser, f"{flake}#{output}", error, cwd)
        for name, what in attributes.items():
            path = f"{prefix}{output}.{_quoted(name)}"
            if (drv_path := _drv_path(nix, path, what)) is not None:
                found[path] = drv_path
            else:
                warn(f"{path} is {_kind(what)}, not a derivation, and left out of `all`")
        thrown |= {f"{prefix}{output}.{_quoted(name)}": words for name, words in throws.items()}
    for path, words in thrown.items():
        if broken is not None:
            broken(path, words)
    if not found and not thrown:
        raise UsageError(f"{flake}: the flake has {' and '.join(f'no {kind}' for kind in kinds)} for {system}")
    return found


def _apart(realiser: Realiser, output: str, error: NixError, cwd: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What each attribute of a flake's output is, and Nix's words on those that do not evaluate. What `throw` and
    `assert` end is found at once, what anything else ends by halving. Raises `UsageError` when it is the output itself.
    """
    try:
        names = _eval(realiser, output, "builtins.attrNames", cwd)
    except NixError:
        raise _failed(output, error, cwd) from None
    whats: dict[str, Any] = {}
    throws: dict[str, str] = {}
    left = [(0, len(names))]
    while left:
        first, count = left.pop()
        try:
            some = _eval(realiser, output, _WHAT_SOME.replace("FIRST", str(first)).replace("COUNT", str(count)), cwd)
        except NixError as why:
            if count == 1:
                throws[names[first]] = last_error(str(why))
            else:
                left += [(first + count // 2, count - count // 2), (first, count // 2)]
            continue
        whats |= {name: what for name, what in some.items() if what is not None}
        for name in (name for name, what in some.items() if what is None):
            throws[name] = _why(realiser, f"{output}.{_quoted(name)}", cwd)
    return whats, throws


def _why(realiser: Realiser, attribute: str, cwd: Path) -> str:
    """Nix's last word on an attribute that throws."""
    try:
        _eval(realiser, attribute, _WHAT, cwd)
    except NixError as error:
        return last_error(str(error))
    return "it threw, and the next time it did not"


def _eval(realiser: Realiser, installable: str, apply: str, cwd: Path) -> Any:
    return json.loads(realiser.evaluate(installable, "--apply", apply, cwd=cwd))


def _failed(installable: str, error: NixError, cwd: Path) -> UsageError:
    """Nix's own words, unless git's state explains them better: Nix then speaks of store paths, or of git's exit
    code."""
    reason = complaint(cwd) if installable.startswith((".", "git+file:")) else None
    return UsageError(f"{installable}: {reason}" if reason else f"{installable}: evaluation failed\n{error}")


def _deriver(nix: Nix, installable: str, path: str) -> str:
    try:
        deriver = nix.run("nix-store", "--query", "--deriver", paths=[path]).strip()
    except NixError as error:
        raise UsageError(f"{installable}: {_first_error(str(error))}") from None
    if not is_derivation(deriver, nix.store_dir()) or not Path(deriver).is_file():
        raise UsageError(
            f"{installable}: the derivation that made it is not known here; name the installable or the .drv"
        )
    return deriver


def attribute_name(path: str) -> str:
    """The name of the attribute that an attribute path leads to."""
    quoted = _QUOTED.search(path)
    return str(json.loads(quoted[0])) if quoted else path.rpartition(".")[2]


def _quoted(name: str) -> str:
    """An attribute name as it is written in an attribute path."""
    return name if name.replace("-", "a").replace("_", "a").isalnum() else json.dumps(name)


def _first_error(text: str) -> str:
    return next((line.removeprefix("error:").strip() for line in text.splitlines() if line.startswith("error:")), text)


def add_roots(nix: Nix, drv_paths: Sequence[str], directory: Path) -> None:
    """Keep the .drv files, and so everything that they refer to, from a garbage collector while `directory` exists."""
    directory.mkdir(parents=True, exist_ok=True)
    quoted = (json.dumps(path).replace("$", "\\$") for path in drv_paths)
    # A file, because Linux takes no argument of more than 128 KiB.
    listing = directory / "installables.nix"
    listing.write_text("\n".join(["map import [", *quoted, "]"]), encoding="utf-8")
    nix.run("nix-instantiate", "--add-root", str(directory / "drv"), "--indirect", str(listing))
