"""``placement export`` and ``placement query`` as they are typed."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from placement.cli import extras
from placement.cli.main import main
from placement.export.querying import queries
from tests.builders import A
from tests.decided import Decided
from tests.exporting import TimedLog, exported


def run(*arguments: object) -> Result:
    """Run the program with *arguments*."""
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    """Give an export of a copy that paid off."""
    story = Decided()
    story.release("a").complete(story.plan("a"))
    story.start("a")
    await exported(await TimedLog().tell(story.told), tmp_path / "out")
    return tmp_path / "out"


def test_questions_are_listed() -> None:
    """Each with what it answers, for people and for programs."""
    told = run("query", "--list", "-o", "json")

    assert told.exit_code == 0
    assert [row["name"] for row in json.loads(told.stdout)] == list(queries())
    assert "?" in run("query", "--list").stdout


def test_a_query_is_shown() -> None:
    """To be changed, and asked in DuckDB itself."""
    told = run("query", "starts_local", "--sql")

    assert told.stdout == queries()["starts_local"]


def test_answers_are_tables_json_or_csv(directory: Path) -> None:
    """The same figures in each."""
    question = ("query", "decisions_by_reason", "--directory", directory)

    [row] = json.loads(run(*question, "-o", "json").stdout)
    [line] = csv.DictReader(run(*question, "-o", "csv").stdout.splitlines())
    table = run(*question).stdout

    assert (row["reason"], row["used"], row["hit_rate"]) == ("start-forecast", 1, 1.0)
    assert line == {name: "" if row[name] is None else str(row[name]) for name in row}
    assert "start-forecast" in table
    assert "1,000,000,000" in table


def test_views_are_made_by_duckdb_alone(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``duckdb -init views.sql``, in the directory of the export."""
    import duckdb  # noqa: PLC0415 - slow to import, and for this test alone

    monkeypatch.chdir(directory)
    with duckdb.connect(":memory:") as connection:
        connection.execute((directory / "views.sql").read_text())
        found = connection.execute("SELECT digest, outcome FROM usable_starts")
        assert found.fetchall() == [(A, "local")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["query", "unheard_of", "--directory", "out"], "NAME"),
        (["query"], "NAME"),
        (["query", "apps"], "--directory"),
        (["query", "apps", "--directory", "nowhere"], "placement export nowhere"),
        (["export", "out", "--hash-names"], "--hash-key-file"),
        (["export", "out", "--since", "yesterday"], "--since"),
        (["export", "out", "--until", "0"], "--until"),
        (
            ["export", "out", "--hash-names", "--hash-key-file", "no-such-file"],
            "--hash-key-file",
        ),
        (["export", "out", "--data-dir", "no-such-directory"], "data_dir"),
    ],
)
def test_wrong_input_is_named(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exit code 2, and what to do about it."""
    monkeypatch.chdir(tmp_path)
    told = run(*arguments)

    assert told.exit_code == 2
    assert said in told.stderr


@pytest.mark.parametrize("damage", ["gone", "empty", "columns", "foot"])
async def test_a_damaged_file_is_named(directory: Path, damage: str) -> None:
    """An export that lost a file, or bytes of one, answers nothing, and says so."""
    for file in (directory / "outcomes").rglob("*.parquet"):
        body = file.read_bytes()
        file.unlink()
        foot = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
        if damage == "empty":
            file.touch()
        elif damage == "columns":
            file.write_bytes(body[:4] + b"\xff" * (foot - 4) + body[foot:])
        elif damage == "foot":
            file.write_bytes(body[:foot] + b"\xff" * 8 + body[foot + 8 :])

    told = run("query", "decisions_by_reason", "--directory", directory)

    assert told.exit_code == 2
    assert "export anew" in told.stderr


def test_a_foreign_manifest_is_refused(tmp_path: Path) -> None:
    """Whatever it is, nothing there is overwritten."""
    (tmp_path / "manifest.json").write_text("{}")

    told = run("query", "apps", "--directory", tmp_path)

    assert told.exit_code == 2
    assert "manifest" in told.stderr


@pytest.mark.parametrize("arguments", [("export", "out"), ("query", "--list")])
def test_the_extra_is_named_where_it_is_missing(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who installed the program alone is told what to install."""
    monkeypatch.setattr(extras, "find_spec", lambda _: None)

    told = run(*arguments)

    assert told.exit_code == 2
    assert "placement[analytics]" in told.stderr
