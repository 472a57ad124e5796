"""A policy tried on texts, without a server."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from llmops_sidecars.__main__ import main
from llmops_sidecars.contract import (
    Action,
    OnError,
    Pattern,
    PatternsRule,
    PiiEntity,
    PiiRule,
    Policy,
    SecretsRule,
    encode,
)
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.rules.finding import Check, Finding, Size
from llmops_sidecars.guard.trial import Place, Tried, as_json, as_table, tried
from tests.sidecars_.guard.kit import MAIL, SECRET, contract

POLICY = Policy(
    "p",
    "1",
    input=(
        PiiRule((PiiEntity.EMAIL,)),
        PiiRule((PiiEntity.IP_ADDRESS,), Action.REPORT),
        PiiRule((PiiEntity.AGE,), Action.GENERALISE),
        SecretsRule(),
    ),
    output=(PatternsRule((Pattern("project", "(?i)project x"),)),),
)
RULES = compile_policy(POLICY).input
TEXTS = ["Hello", "", f"to {MAIL} now", "from 10.0.0.1", f"{MAIL} has {SECRET} and more", "aged 34"]


async def test_each_text_has_its_verdict_and_places() -> None:
    assert await tried(RULES, TEXTS) == [
        Tried(1, "Passed", (), "Hello", "Hello"),
        Tried(3, "Changed", (Place("pii", "Email", "Mask", 3, 23),), TEXTS[2], "to [EMAIL] now"),
        Tried(4, "Reported", (Place("pii", "IPAddress", "Report", 5, 13),), TEXTS[3], TEXTS[3]),
        Tried(
            5,
            "Blocked",
            (Place("pii", "Email", "Mask", 0, 20), Place("secrets", "aws", "Block", 25, 45)),
            TEXTS[4],
            "[EMAIL] has ",
        ),
        Tried(6, "Changed", (Place("pii", "Age", "Generalise", 5, 7),), TEXTS[5], "aged 30-34"),
    ]


async def test_a_rule_that_cannot_run_is_told_as_one() -> None:
    def broken(_text: str) -> list[Finding]:
        raise ValueError

    for on_error in OnError:
        (one,) = await tried(Rules((Check("broken", broken, on_error=on_error),)), ["x"])
        assert one.verdict == "Failed"


async def test_a_rule_on_whole_requests_counts() -> None:
    def long(size: Size) -> list[Finding]:
        return [Finding(0, 0, "limits", "Characters", "", Action.BLOCK)] if len(size.texts[0]) > 3 else []

    short, longer = await tried(Rules((Check("limits", measure=long),)), ["abc", "abcd"])
    assert (short.verdict, longer.verdict, longer.forwarded) == ("Passed", "Blocked", "")


async def test_the_table_marks_what_was_found() -> None:
    lines = as_table(await tried(RULES, TEXTS)).splitlines()
    assert lines[0].split() == ["LINE", "VERDICT", "RULE", "KIND", "ACTION", "SPAN", "TEXT"]
    assert lines[2].split(maxsplit=6) == ["3", "Changed", "pii", "Email", "Mask", "3-23", f"to >>{MAIL}<< now"]
    assert len(lines) == 7


async def test_the_table_obeys_no_text() -> None:
    table = as_table(await tried(RULES, [f"\x1b[31m {MAIL} \u202e" + "x" * 200]))
    assert "\x1b" not in table
    assert "\\u001b[31m >>" in table
    assert "\\u202e" in table
    assert len(table.splitlines()[1]) < 200


async def test_programs_get_a_document_for_each_text() -> None:
    (line,) = as_json(await tried(RULES, [f"to {MAIL}"])).splitlines()
    assert msgspec.json.decode(line) == {
        "line": 1,
        "verdict": "Changed",
        "places": [{"rule": "pii", "kind": "Email", "action": "Mask", "start": 3, "end": 23}],
        "text": f"to {MAIL}",
        "forwarded": "to [EMAIL]",
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "contract.json"
    path.write_bytes(encode(contract(policy=POLICY)))
    return path


def texts(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("lines", "direction", "status"),
    [
        ([MAIL], "input", 0),
        ([MAIL, SECRET], "input", 1),
        ([SECRET], "output", 0),
        (["on project x"], "output", 1),
        ([], "input", 0),
    ],
)
def test_the_command_ends_with_1_when_something_is_blocked(
    tmp_path: Path, file: Path, lines: list[str], direction: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--contract", str(file), "--direction", direction, texts(tmp_path, *lines)]) == status
    assert capsys.readouterr().out.startswith("LINE")


def test_the_command_reads_standard_input(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{MAIL}\n"))
    assert main(["check", "--contract", str(file), "--output", "json", "-"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["verdict"] == "Changed"


def test_what_cannot_be_tried_is_told(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--contract", str(tmp_path / "none"), texts(tmp_path, "x")]) == 2
    assert "No such file" in capsys.readouterr().err
    assert main(["check", "--contract", str(file), str(tmp_path / "none")]) == 2
    broken = tmp_path / "broken.json"
    broken.write_bytes(encode(contract(policy=replace_pattern("(?=a)"))))
    assert main(["check", "--contract", str(broken), texts(tmp_path, "x")]) == 2
    assert "pattern 'project': RE2 refuses it" in capsys.readouterr().err


def replace_pattern(expression: str) -> Policy:
    return msgspec.structs.replace(POLICY, output=(PatternsRule((Pattern("project", expression),)),))


def test_a_library_that_is_not_installed_is_named(tmp_path: Path, file: Path) -> None:
    """In a process of its own, in which the import of one of the sidecar's libraries fails."""
    code = (
        "import sys; sys.modules['ahocorasick_rs'] = None\n"
        "from llmops_sidecars.__main__ import main\n"
        f"sys.exit(main(['check', '--contract', {str(file)!r}, {texts(tmp_path, 'x')!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "pip install 'llmops-operator[sidecar]'" in ended.stderr


async def test_only_what_is_in_this_process_is_asked() -> None:
    async def asked(text: str) -> list[Finding]:
        return [Finding(0, len(text), "judge", "kind", "", Action.BLOCK)]

    here, elsewhere = (Rules((Check("judge", ask=asked, inside=inside),)) for inside in (True, False))
    (tried_here,) = await tried(here, ["abc"])
    assert (tried_here.verdict, tried_here.forwarded) == ("Blocked", "")
    assert [(one.rule, one.start, one.end) for one in tried_here.places] == [("judge", 0, 3)]
    (tried_elsewhere,) = await tried(elsewhere, ["abc"])
    assert (tried_elsewhere.verdict, tried_elsewhere.forwarded) == ("Passed", "abc")
