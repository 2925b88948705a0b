"""Rules are added to files that people have written, and everything else in them stays."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nix_repro.config import load, read_settings
from nix_repro.config.allow import NAME, REASON
from nix_repro.config.amend import block, with_rules
from nix_repro.verdict.allow import AllowRule

NEW = AllowRule("foo", "upstream bug: #7", date(2027, 1, 31))
LINES = '- name: foo\n  reason: "upstream bug: #7"\n  until: 2027-01-31\n'
FLOW = '{name: foo, reason: "upstream bug: #7", until: 2027-01-31}'


def indented(by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in LINES.splitlines())


def added(text: str, *rules: AllowRule) -> str | None:
    changed = with_rules(text.encode(), "c.yml", rules or (NEW,))
    return changed.decode() if changed is not None else None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"allow:\n{indented(2)}"),
        ("\ufeff", f"\ufeffallow:\n{indented(2)}"),
        ("# only this", f"# only this\nallow:\n{indented(2)}"),
        ("---\n# start\n", f"---\n# start\nallow:\n{indented(2)}"),
        ("rounds: 3", f"rounds: 3\nallow:\n{indented(2)}"),
        ("rounds: 3 # three\n\n# end\n", f"rounds: 3 # three\n\n# end\nallow:\n{indented(2)}"),
        ("\ufeffrounds: 3\n", f"\ufeffrounds: 3\nallow:\n{indented(2)}"),
        ("  rounds: 3\n", f"  rounds: 3\n  allow:\n{indented(4)}"),
        ("rounds: 3\n...\n", f"rounds: 3\nallow:\n{indented(2)}...\n"),
        ("rounds: 3\n... # end\n# of it\n", f"rounds: 3\nallow:\n{indented(2)}... # end\n# of it\n"),
        # Whatever comes behind such a text, or ends its line, would be a part of it.
        ("test: |+\n  make", f"allow:\n{indented(2)}test: |+\n  make"),
        ("# c\ntest: |\n  make", f"# c\nallow:\n{indented(2)}test: |\n  make"),
        ("test: |+\n  make\n\n\n", f"test: |+\n  make\n\n\nallow:\n{indented(2)}"),
        ("test: make\n  it\n  so", f"test: make\n  it\n  so\nallow:\n{indented(2)}"),
        ("{rounds: 3}\n", f"{{rounds: 3, allow: [{FLOW}]}}\n"),
        ("{rounds: 3,}\n", f"{{rounds: 3, allow: [{FLOW}]}}\n"),
        ("{}", f"{{allow: [{FLOW}]}}"),
        ("{rounds: 3 # c\n}\n", f"{{rounds: 3 # c\n, allow: [{FLOW}]}}\n"),
        ("{allow: [], rounds: 3}\n", f"{{allow: [{FLOW}], rounds: 3}}\n"),
        ("{allow: , rounds: 3}\n", f"{{allow: [{FLOW}] , rounds: 3}}\n"),
        ("{allow, rounds: 3}\n", f"{{allow: [{FLOW}], rounds: 3}}\n"),
        ("allow:\nrounds: 3\n", f"allow:\n{indented(2)}rounds: 3\n"),
        ("allow:", f"allow:\n{indented(2)}"),
        ("allow: # none yet\n  # really\nrounds: 3\n", f"allow: # none yet\n{indented(2)}  # really\nrounds: 3\n"),
        ("allow: [] # none yet\nrounds: 3\n", f"allow: # none yet\n{indented(2)}rounds: 3\n"),
        ("allow: ~\n", f"allow:\n{indented(2)}"),
        ("allow: null", f"allow:\n{indented(2)}"),
        ("allow: [\n  # none\n]\n", f"allow: [\n  # none\n{FLOW}]\n"),
        (
            "allow:\n- name: a\n  reason: b\nrounds: 3\n",
            f"allow:\n- name: a\n  reason: b\n{LINES}rounds: 3\n",
        ),
        (
            "allow:\n    -   name: a # c\n        reason: b   # d\n\n    # the end\n# e\nrounds: 3\n",
            f"allow:\n    -   name: a # c\n        reason: b   # d\n{indented(4)}\n    # the end\n# e\nrounds: 3\n",
        ),
        ("allow:\n  - {name: a, reason: b}", f"allow:\n  - {{name: a, reason: b}}\n{indented(2)}"),
        (
            "allow:\n- name: a\n  reason: |+\n    b\n\nrounds: 3\n",
            f"allow:\n- name: a\n  reason: |+\n    b\n\n{LINES}rounds: 3\n",
        ),
        (
            "allow:\n- name: a\n  reason: >-\n    b\n    c\n# d\nrounds: 3\n",
            f"allow:\n- name: a\n  reason: >-\n    b\n    c\n{LINES}# d\nrounds: 3\n",
        ),
        ("allow: [{name: a, reason: b}] # c\n", f"allow: [{{name: a, reason: b}}, {FLOW}] # c\n"),
        ("allow: [{name: a, reason: b},]\n", f"allow: [{{name: a, reason: b}}, {FLOW}]\n"),
        (
            "allow: [\n    {name: a, reason: b}, # c\n  ]\n",
            f"allow: [\n    {{name: a, reason: b}}, # c\n    {FLOW},\n  ]\n",
        ),
        (
            "allow: [\n    {name: a, reason: b} # c\n  ]\n",
            f"allow: [\n    {{name: a, reason: b}}, # c\n    {FLOW}\n  ]\n",
        ),
        (
            "allow: &r\n- name: &n a\n  reason: *n\n",
            f"allow: &r\n- name: &n a\n  reason: *n\n{LINES}",
        ),
        ("allow: &r []\nrounds: 3\n", f"allow: &r [{FLOW}]\nrounds: 3\n"),
        ("? allow\n: - name: a\n    reason: b\n", f"? allow\n: - name: a\n    reason: b\n{indented(2)}"),
        ('"allow":\n- name: a\n  reason: b\n', f'"allow":\n- name: a\n  reason: b\n{LINES}'),
        ("%YAML 1.1\n---\nrounds: 3\n", f"%YAML 1.1\n---\nrounds: 3\nallow:\n{indented(2)}"),
    ],
)
def test_where_it_is_put(before: str, after: str) -> None:
    assert added(before) == after
    crlf = before.replace("\n", "\r\n")
    assert added(crlf) == (after.replace("\n", "\r\n") if "\n" in before else after)


@pytest.mark.parametrize(
    "text",
    [
        # The same list has another meaning elsewhere.
        "test: &a [make]\nallow: *b\n",
        "installables: &a []\nallow: *a\n",
        "--- !!null ''\n",
        "--- ~\n",
    ],
)
def test_where_it_cannot_be_put(text: str) -> None:
    try:
        changed = added(text)
    except Exception as error:  # noqa: BLE001  # not a configuration in the first place
        assert "c.yml" in str(error)  # noqa: PT017
    else:
        assert changed is None


NAMES = """a * b* -a ?b yes 1.0 2027-01-01 ~ ' " \\ [x] { &a !t % @ ` é 😀 a,b = << 0x1 1_0 a.\"b.c\" a: #"""


@pytest.mark.parametrize("name", [*NAMES.split(), "? b", "a: b", "a #b", "\ufeffa", "a\x85b", "a\u2028b"])
def test_every_name_is_read_back(name: str) -> None:
    for text in ("", "allow: [{name: z, reason: z}]\n", "allow:\n- {name: z, reason: z}\n"):
        changed = added(text, AllowRule(name, f"{name} is odd"))
        if changed is not None:
            assert load([read_settings(changed.encode(), "")]).allow[-1].name == name
        else:
            assert not name.isprintable()


COMMENT = st.sampled_from(["", "", " # same line", "  # 'quoted'", " # [x]"])
BETWEEN = st.sampled_from(["", "", "\n", "# above\n", "\n  # indented\n\n"])
OTHERS = st.sampled_from(
    [
        "rounds: 3",
        "installables: [.#a, .#b]",
        "installables:\n- .#a\n- .#b",
        "installables:\n    - &i .#a\n    - *i",
        "targets:\n  build: 7m\n  cold:\n    total: 10m",
        "test: >\n  make\n  it",
        "fail-on:\n  [divergence,\n   overrun]",
        "scope: 'own'",
        'fail-when:\n- ".a == 1"\n- |\n  .b',
    ]
)
RULE = st.builds(
    AllowRule,
    st.text(min_size=1, max_size=NAME).map(lambda s: "".join(filter(str.isprintable, s)).strip()),
    st.text(min_size=1, max_size=REASON).map(lambda s: " ".join("".join(filter(str.isprintable, s)).split())),
    st.none() | st.dates(),
    st.sampled_from([None, "out", "doc"]),
    st.sampled_from([None, "timestamp", "build-path"]),
).filter(lambda r: bool(r.name and r.reason))
ALLOW = st.sampled_from(
    [
        None,
        "allow:",
        "allow: []",
        "allow:\n- name: a{c}\n  reason: b{c}",
        "allow:{c}\n  # first\n  - name: a{c}\n    reason: >-{c}\n      b\n      c",
        "allow:\n     - reason: |\n         b\n       name: a{c}\n     # last",
        "allow: [{{name: a, reason: b}}]",
        "allow: [{c}\n  {{name: a, reason: b}},{c}\n  {{name: d, reason: e}}{c}\n]",
        "allow: &x{c}\n- &r {{name: a, reason: &w b}}\n- {{name: c, reason: *w}}",
    ]
)


@st.composite
def files(draw: st.DrawFn) -> str:
    keys = {other.partition(":")[0]: other for other in draw(st.lists(OTHERS, max_size=4))}
    entries = list(keys.values())
    if (allow := draw(ALLOW)) is not None:
        comment = draw(COMMENT)
        entries.insert(draw(st.integers(0, len(entries))), allow.format(c=comment))
    text = draw(BETWEEN)
    for entry in entries:
        single = not re.search(r"[\n|>]", entry)
        text += f"{entry}{draw(COMMENT) if single else ''}\n{draw(BETWEEN)}"
    text = draw(st.sampled_from(["", "", "\ufeff", "---\n"])) + text
    if draw(st.booleans()) and not re.search(r"[>|][^\n]*\n[^#\[\]]*$", text):
        text = text.rstrip("\n")
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))


@given(files(), st.lists(RULE, min_size=1, max_size=3, unique_by=lambda rule: rule.key))
@example("---\nallow:\n", [NEW])
def test_nothing_else_changes(text: str, rules: list[AllowRule]) -> None:
    before = read_settings(text.encode(), "c.yml")
    changed = added(text, *rules)
    assert changed is not None
    after = read_settings(changed.encode(), "c.yml")
    assert [key for key in after if key != "allow"] == [key for key in before if key != "allow"]
    had, has = load([before]), load([after])
    assert {**vars(had), "allow": (), "fail_when": ()} == {**vars(has), "allow": (), "fail_when": ()}
    assert [e.text for e in had.fail_when] == [e.text for e in has.fail_when]
    assert [r.key for r in has.allow] == [r.key for r in (*had.allow, *rules)]
    assert [(r.reason, r.until) for r in has.allow] == [(r.reason, r.until) for r in (*had.allow, *rules)]
    # Every line that was there is there, in its order, but for an empty list that is none any more.
    left = iter(changed.splitlines())
    for line in text.replace(" []", "").splitlines():
        shape = line.rstrip()
        if shape.lstrip("\ufeff"):
            assert any(_kept(shape, other) for other in left), line
    assert changed.startswith("\ufeff") == text.startswith("\ufeff")
    assert ("\r\n" in changed) == ("\r\n" in text)


def _kept(line: str, other: str) -> bool:
    """A flow list gets longer at its end, behind which there may be a comment."""
    start, comment = re.match(r"(.*?)(\s+#.*)?$", line).groups()  # type: ignore[union-attr]
    return other.startswith(start.rstrip("]}")) and other.endswith(comment or "")


def test_a_rule_is_written_as_people_write_it() -> None:
    rules = [NEW, AllowRule("b*", "mine", None, "doc", "timestamp")]
    assert block(rules) == [
        "  - name: foo",
        '    reason: "upstream bug: #7"',
        "    until: 2027-01-31",
        '  - name: "b*"',
        "    reason: mine",
        "    output: doc",
        "    cause: timestamp",
    ]
