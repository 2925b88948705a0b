"""The real action.yml under act, with real Nix, as a consumer uses it: `uses: org/nix-repro-action@v1`."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest


def test_what_is_the_same_every_time_passes(act: Any) -> None:
    done = act({"installables": ".#good"})
    assert done.code == 0, done.story
    outputs = done.outputs()
    assert (outputs["conclusion"], outputs["exit-code"], outputs["reproducible"], outputs["divergent"]) == (
        "pass",
        "0",
        "true",
        "[]",
    )
    assert json.loads(outputs["counts"])["reproducible"] == 1
    assert "✅ No difference found in 1 derivation (1 output)" in done.summary
    assert done.commands("error") == done.commands("warning") == []
    assert set(done.calls()) == {"cache-restore", "cache-save", "upload-artifact"}


def test_a_workflow_that_knows_nothing_of_it_verifies_nothing_twice(act: Any, tmp_path: Path) -> None:
    """Whatever becomes of the ledger's entry, the run does not fail for it."""
    cache = tmp_path / "cache"
    given = {"event": {"ref": "refs/heads/main", "repository": {"default_branch": "main"}}}
    env = {"STUB_CACHE": str(cache)}
    for nothing, damage in ((False, False), (True, False), (False, True), (True, False)):
        if damage:
            (cache / "nix-repro-ledger" / "ledger.db").write_bytes(b"no ledger " * 1000)
        done = act({"installables": ".#good"}, env=env, **given)
        assert done.code == 0, done.story
        assert ("nothing was built again" in done.summary) == nothing
        assert ("rebuilt 0 of 1; 1 verified before" in done.summary) == nothing
        assert len([text for text in done.commands("warning") if "ledger" in text]) == damage, done.story


def test_a_divergence_is_red_and_tells_its_story_first(act: Any) -> None:
    done = act({"installables": ".#bad .#good"})
    assert done.code == 1
    outputs = done.outputs()
    assert (outputs["conclusion"], outputs["exit-code"], outputs["reproducible"]) == ("fail", "1", "false")
    assert json.loads(outputs["divergent"]) == ["packages.x86_64-linux.bad"]
    assert done.summary.index("<code>bad-1.0</code>") < done.summary.index("<code>good-1.0</code>")
    assert "### What differs" in done.summary
    [error] = [line for line in done.lines if line.get("command") == "error"]
    assert error["kvPairs"]["file"] == "flake.nix"
    source = (act.repository / "flake.nix").read_text().splitlines()
    assert source[int(error["kvPairs"]["line"]) - 1].lstrip().startswith("bad = ")
    artifact = act.record / "nix-repro-test-test-0-Linux-X64"
    report = json.loads((artifact / "report.json").read_text())
    assert (report["conclusion"], report["exit_code"]) == ("fail", 1)
    assert (artifact / "summary.md").read_text() == done.summary
    assert (artifact / "junit.xml").stat().st_size > 100
    assert [phase["name"] for phase in report["phases"]][:2] == ["install", "cache"]


def test_a_failed_build_shows_its_log_and_obeys_none_of_it(act: Any) -> None:
    done = act({"installables": ".#broken .#good"})
    assert done.code == 1
    outputs = done.outputs()
    assert (outputs["conclusion"], outputs["exit-code"]) == ("fail", "4")
    # The log tried to set this output and to make annotations of its own.
    assert [text for text in done.commands("error") if "would be an annotation" in text] == []
    assert len(done.commands("error")) == 1
    assert "would be an annotation" in done.log
    assert "::error::a log line" in done.summary
    assert "broken-1.0" in done.summary


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"scope": "everything"}, "input scope"),
        ({"rounds": "one"}, "input rounds"),
        ({"fail-on": "bad-luck"}, "input fail-on"),
        ({"comment": "loudly"}, "input comment"),
        ({"working-directory": "not/there"}, "input working-directory"),
        ({"config": "not-there.yml"}, "input config"),
        ({"cache": "magik"}, "input cache"),
        ({"cache": "cachix"}, "input cachix-name"),
        ({"install-nix": "perhaps"}, "input install-nix"),
        ({"installables": ".#missing"}, "missing"),
    ],
)
def test_bad_input_is_named(act: Any, inputs: dict[str, str], named: str) -> None:
    done = act(inputs)
    assert done.code == 1
    [error] = done.commands("error")
    assert named in error
    assert done.outputs().get("exit-code", "2") == "2"
    assert done.outputs()["conclusion"] == ""


def test_a_softer_policy_lets_a_divergence_pass_and_says_so(act: Any) -> None:
    done = act({"installables": ".#bad", "fail-on": "build-failure"})
    assert done.code == 0, done.story
    assert done.outputs()["conclusion"] == "pass"
    assert json.loads(done.outputs()["divergent"]) == ["packages.x86_64-linux.bad"]
    assert "🟡" in done.summary
    assert done.commands("error") == []
    assert len(done.commands("warning")) == 1


@pytest.mark.parametrize("strict", [False, True])
def test_open_questions_fail_the_job_only_when_asked_for(act: Any, strict: bool) -> None:
    """Such as whether a package that was there before is the repository's own, while no upstream cache answers."""
    act({"installables": ".#good"})
    given = {"installables": ".#good", "scope": "own", "upstream-caches": "http://127.0.0.1:9"}
    done = act(given | ({"fail-on": "divergence, unverified"} if strict else {}))
    outputs = done.outputs()
    assert (outputs["conclusion"], outputs["exit-code"], outputs["reproducible"]) == (
        "fail" if strict else "inconclusive",
        "5",
        "false",
    )
    assert done.code == (1 if strict else 0), done.story
    assert "upstream unreachable" in done.commands("error" if strict else "warning")[0]


def test_a_rebuild_that_says_nothing_fails_the_job(act: Any) -> None:
    """Whatever `fail-on` lists: without a sandbox, a builder would only have to write its own path to be excused."""
    given = {"installables": ".#itself", "rebuilder": "nix-check", "nix-options": "sandbox = false"}
    done = act(given | {"fail-on": "divergence"})
    assert (done.outputs()["conclusion"], done.outputs()["exit-code"], done.code) == ("fail", "5", 1), done.story
    assert "path rewriting" in done.commands("error")[0]


def test_inputs_win_over_the_configuration_file(act: Any) -> None:
    (act.repository / ".nix-repro.yml").write_text("installables: [.#bad]\nfail-on: [build-failure]\n")
    assert json.loads(act({}).outputs()["divergent"]) == ["packages.x86_64-linux.bad"]
    assert act({"installables": ".#good"}).outputs()["divergent"] == "[]"


def test_a_flake_in_a_subdirectory_is_annotated_where_it_is(act: Any) -> None:
    (act.repository / "sub").mkdir()
    shutil.move(act.repository / "flake.nix", act.repository / "sub" / "flake.nix")
    done = act({"installables": ".#bad", "working-directory": "sub"})
    [error] = [line for line in done.lines if line.get("command") == "error"]
    assert error["kvPairs"]["file"] == "sub/flake.nix"


def test_legs_of_a_matrix_do_not_collide(act: Any) -> None:
    matrix = {"strategy": {"matrix": {"package": ["good", "bad"]}, "fail-fast": False}}
    # act knows no strategy.job-index, from which the default id is made: test_start.py looks at that.
    done = act({"installables": ".#${{ matrix.package }}", "id": "leg-${{ matrix.package }}"}, job=matrix)
    assert done.code == 1
    found = {
        path.name: json.loads((path / "report.json").read_text())["conclusion"]
        for path in act.record.glob("nix-repro-leg-*")
    }
    assert found == {"nix-repro-leg-good": "pass", "nix-repro-leg-bad": "fail"}


def test_an_id_is_taken_and_cleaned(act: Any) -> None:
    done = act({"installables": ".#good", "id": 'x"; echo pwned > /dev/null #/…'})
    assert done.code == 0, done.story
    name = done.calls()["upload-artifact"]["name"]
    assert re.fullmatch(r"nix-repro-x---echo-pwned-+dev-null-+[0-9]+", name)
    assert not set(name) & set('":<>|*?\\/;# ')


def test_inputs_are_data(act: Any, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    for name in ("installables", "scope", "nix-options", "id", "cache", "install-nix", "working-directory", "config"):
        done = act({name: f"$(touch {proof}) `touch {proof}`; touch {proof}"})
        assert not proof.exists(), name
        assert done.code == 1 or name == "id"


def test_the_step_after_a_red_one_can_read_its_outputs(act: Any) -> None:
    """As self-test.yml does it."""
    after = {
        "env": {
            "SEEN": (
                "${{ steps.repro.outcome }} ${{ steps.repro.outputs.exit-code }} ${{ steps.repro.outputs.conclusion }}"
            )
        },
        "run": 'echo "seen: $SEEN"',
    }
    uses = {"id": "repro", "uses": "org/nix-repro-action@v1", "continue-on-error": True}
    uses["with"] = {"installables": ".#bad", "cache": "none", "github-token": "", "scope": "closure"}
    done = act(job={"steps": [{"uses": "actions/checkout@v4"}, act.warm_step(), uses, after]})
    assert done.code == 0, done.story
    assert "seen: failure 1 fail" in done.log


def test_names_that_need_quotation_marks(act: Any) -> None:
    """As people write them into a workflow, and beside the line that sets them."""
    flake = act.repository / "flake.nix"
    text = flake.read_text()
    sets = ['"foo bar" = self.packages.x86_64-linux.bad', '"a.b" = self.packages.x86_64-linux.bad // { x = 1; }']
    assert "bad = " in text
    flake.write_text(text.replace("      bad = ", f"      {sets[0]};\n      {sets[1]};\n      bad = ", 1))
    done = act({"installables": """.#packages.x86_64-linux."foo bar" '.#"a.b"'"""})
    assert done.outputs()["exit-code"] == "1", done.story
    [error] = [line for line in done.lines if line.get("command") == "error"]
    source = flake.read_text().splitlines()
    assert source[int(error["kvPairs"]["line"]) - 1].strip().startswith('"foo bar" = ')
    done = act({"installables": '.#packages.x86_64-linux."foo bar .#good'})
    [said] = done.commands("error")
    assert said == "input installables: '\"foo bar .#good': this quotation mark is not closed"
