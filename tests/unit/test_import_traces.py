"""``tools/import_traces.py``: layouts, rules, the same bytes, and what is refused."""

import gzip
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from placement.core.errors import InputError
from placement.simulation.cron import parse_schedule
from placement.simulation.trace import COLUMNS, read_trace
from tools.import_traces import main

GOVUK = "t,env,app,version,kind,commit\n"
KONFLUX = "t,cluster,component,image,tag,kind,commit\n"
PHALANX = "t,site,env,app,image_key,version,kind,commit\n"
CONFIG = "env,app,image,replicas,workers,cron_schedules\n"
HEX = "0" * 64


def day(text: str) -> int:
    """The first second of a day, unix time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def history(folder: Path, name: str, text: str, file: str = "events.csv.gz") -> Path:
    """A folder of histories with one of them in it."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(text.encode()) if file.endswith(".gz") else text.encode()
    (folder / name / file).write_bytes(packed)
    return folder


def rows(path: Path) -> list[str]:
    """The lines of a trace without its header, which is checked."""
    header, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert header == ",".join(COLUMNS)
    return lines


def test_each_layout_becomes_a_trace(tmp_path: Path) -> None:
    """App, version and region are taken from the columns that stand for them."""
    source = tmp_path / "source"
    history(
        source,
        "govuk-deploys",
        GOVUK + f"{day('2024-01-01')},staging,web,v1,deploy,c\n",
    )
    history(
        source,
        "konflux-rollouts",
        KONFLUX + f"5,one,part,quay.io/a/b,sha256:{HEX},add,c\n",
    )
    history(source, "phalanx-sites", PHALANX + "5,iowa,dev,tap,tapSchema,1.2,add,c\n")

    status = main([str(source), str(tmp_path / "out")])

    out = tmp_path / "out"
    assert status == 0
    assert rows(out / "govuk.csv.gz") == ["1704067200,staging,govuk/web,v1,start"]
    assert rows(out / "konflux.csv.gz") == [
        f"5,one,konflux/quay.io/a/b,sha256-{HEX},start"
    ]
    assert rows(out / "phalanx.csv.gz") == ["5,iowa,phalanx/tap/tap--53chema,1.2,start"]


@pytest.mark.parametrize("file", ["events.csv", "events.csv.gz"])
def test_source_may_be_one_history_of_any_name(tmp_path: Path, file: str) -> None:
    """A layout is known by its columns, in the folder itself and below it."""
    text = KONFLUX + "5,one,part,web,v1,add,c\n"
    source = history(tmp_path, "later", text, file)

    below = main([str(source), str(tmp_path / "a")])
    itself = main([str(source / "later"), str(tmp_path / "b")])

    assert (below, itself) == (0, 0)
    assert rows(tmp_path / "a" / "konflux.csv.gz") == rows(
        tmp_path / "b" / "konflux.csv.gz"
    )


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """Neither the clock nor a file's name is in the output."""
    text = KONFLUX + "".join(f"{n},one,part,web,v{n},add,c\n" for n in range(5, 500))
    source = history(tmp_path, "konflux-rollouts", text)

    for name in ("a", "b"):
        main([str(source), str(tmp_path / name)])

    one, other = (tmp_path / name / "konflux.csv.gz" for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in one.parent.iterdir()) == [one.name]


def test_early_rows_of_govuk_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was deployed before 2023 is not used, and the summary counts it."""
    times = (day("2023-01-01") - 1, day("2023-01-01"))
    text = GOVUK + "".join(f"{t},staging,web,v{t},redeploy,c\n" for t in times)
    source = history(tmp_path, "govuk-deploys", text)

    main([str(source), str(tmp_path / "out")])

    assert rows(tmp_path / "out" / "govuk.csv.gz") == [
        "1672531200,staging,govuk/web,v1672531200,start"
    ]
    assert "1 rows, 1 starts, 0 removals" in capsys.readouterr().out


def test_environments_of_one_site_are_one_start(tmp_path: Path) -> None:
    """What a site gets at one moment it gets once; later it is told again."""
    lines = (
        "5,iowa,dev,tap,main,1.2,add,c\n",
        "5,slac,dev,tap,main,1.2,add,c\n",
        "5,iowa,int,tap,main,1.2,add,c\n",
        "6,iowa,prod,tap,main,1.2,add,c\n",
        "7,iowa,dev,tap,main,-,remove,c\n",
    )
    source = history(tmp_path, "phalanx-sites", PHALANX + "".join(lines))

    main([str(source), str(tmp_path / "out")])

    assert rows(tmp_path / "out" / "phalanx.csv.gz") == [
        "5,iowa,phalanx/tap/main,1.2,start",
        "5,slac,phalanx/tap/main,1.2,start",
        "6,iowa,phalanx/tap/main,1.2,start",
        "7,iowa,phalanx/tap/main,,remove",
    ]


def test_rows_out_of_order_are_sorted_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of one second keep the order of the file."""
    lines = "9,z,p,web,v1,add,c\n5,b,p,web,v1,add,c\n5,a,p,web,v1,add,c\n"
    source = history(tmp_path, "konflux-rollouts", KONFLUX + lines)

    main([str(source), str(tmp_path / "out")])

    found = read_trace(tmp_path / "out" / "konflux.csv.gz")
    assert [row.region for row in found.rows] == ["b", "a", "z"]
    assert "sorted by time" in capsys.readouterr().out


def test_tag_of_two_versions_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two versions that OCI cannot tell apart are not merged in silence."""
    lines = "5,a,p,web,1+2,add,c\n6,a,p,web,1_2,add,c\n"
    source = history(tmp_path, "konflux-rollouts", KONFLUX + lines)

    main([str(source), str(tmp_path / "out")])

    assert "1 tags stand for two versions: konflux/web:1_2" in capsys.readouterr().out


def test_cut_keeps_a_period_and_some_apps(tmp_path: Path) -> None:
    """A cut is contiguous in time, and takes an app whole or not at all."""
    lines = "".join(
        f"{day('2024-01-01') + n * 3600},a,p,app-{n % 20},v{n},add,c\n"
        for n in range(96)
    )
    source = history(tmp_path, "konflux-rollouts", KONFLUX + lines)
    cut = ["--from", "2024-01-02", "--to", "2024-01-04", "--one-app-in", "3"]

    main([*cut, str(source), str(tmp_path / "out")])

    found = read_trace(tmp_path / "out" / "konflux.csv.gz").rows
    kept = {row.repository for row in found}
    times = [day("2024-01-01") + n * 3600 for n in range(24, 72)]
    assert 1 < len(kept) < 20
    assert [row.time_s for row in found] == [
        time for n, time in enumerate(times, 24) if f"konflux/app-{n % 20}" in kept
    ]


def test_expansion_starts_every_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replicas, workers and schedules, of all the apps that run an image."""
    deploys = (
        (day("2024-12-31"), "v1"),  # before the period: a deploy
        (day("2025-06-28") + 3600, "v2"),  # within it: 2 + 1 + 1 machines
        (day("2025-06-30"), "v3"),  # after it
    )
    text = GOVUK + "".join(f"{t},staging,web,{v},deploy,c\n" for t, v in deploys)
    source = history(tmp_path, "govuk-deploys", text)
    config = (
        "staging,web,web,2,1,0 */12 * * *\n"
        "staging,draft-web,web,1,0,\n"
        "staging,unknown,unknown,1,0,* * * * *\n"
    )
    folder = source / "govuk-deploys"
    (folder / "start_config_2025-06-30.csv").write_text(CONFIG + config)
    (folder / "start_config_2024-06-30.csv").write_text("older, and not read")

    status = main(["--expand", str(source), str(tmp_path / "out")])

    found = read_trace(tmp_path / "out" / "govuk-all.csv.gz").rows
    cron = [
        (day("2025-06-28"), "v1"),
        *[(day("2025-06-28") + 3600, "v2")] * 4,
        (day("2025-06-28") + 43_200, "v2"),
        (day("2025-06-29"), "v2"),
        (day("2025-06-29") + 43_200, "v2"),
    ]
    assert status == 0
    assert [(row.time_s, row.tag) for row in found[-8:]] == cron
    assert len(found) == 1 + 4 + 2 * 180
    assert "364 starts: 4 by deploys, 360 by cron" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("schedule", "first", "expected"),
    [
        (
            "*/20 7-8 * * *",
            "2025-01-01",
            ["07:00", "07:20", "07:40", "08:00", "08:20", "08:40"],
        ),
        ("5 0,12 * * *", "2025-01-01", ["00:05", "12:05"]),
        ("0 9 * * 1-5", "2025-01-04", []),  # a Saturday
        ("0 9 * * 0", "2025-01-05", ["09:00"]),  # a Sunday, which is 0
        ("0 9 * * 7", "2025-01-05", ["09:00"]),  # and 7
        ("0 9 1 * *", "2025-01-05", []),
        ("0 9 1 * 0", "2025-01-05", ["09:00"]),  # either day is enough
        ("0 9 * 2 *", "2025-01-05", []),
        ("50/5 3 * * *", "2025-01-05", ["03:50", "03:55"]),
    ],
)
def test_schedule_is_due_as_cron_has_it(
    schedule: str, first: str, expected: list[str]
) -> None:
    """Steps, ranges, lists, and the rule of two restricted days."""
    first_s = day(first)

    times = parse_schedule(schedule).times_s(first_s, first_s + 86_400)

    assert [f"{datetime.fromtimestamp(t, UTC):%H:%M}" for t in times] == expected


@pytest.mark.parametrize(
    "schedule",
    ["* * * *", "60 * * * *", "@daily", "5-1 * * * *", "*/0 * * * *", "0 0 * jan *"],
)
def test_schedule_that_is_none_is_refused(schedule: str) -> None:
    """The error shows what a schedule looks like."""
    with pytest.raises(InputError, match="five fields of numbers"):
        parse_schedule(schedule)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("konflux-rollouts", "t,cluster\n", "line 1.*must name cluster,component"),
        ("other", "t,cluster\n", "SOURCE_FOLDER.*konflux-rollouts/events.csv.gz"),
        ("x", KONFLUX + "x,a,p,web,v1,add,c\n", "line 2, t: 'x'.*whole unix seconds"),
        ("x", KONFLUX + "5,a,p,web,v1,start,c\n", "line 2, kind: 'start'.*add, deploy"),
        ("x", KONFLUX + "5,a b,p,web,v1,add,c\n", "line 2, cluster: 'a b'"),
        ("x", KONFLUX + "5,a,p,,v1,add,c\n", "line 2, image: ''"),
        ("x", KONFLUX + "5,a,p,web,,add,c\n", "line 2, tag: ''"),
    ],
)
def test_what_is_wrong_is_said_by_line_and_field(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    said: str,
) -> None:
    """The error names file, line, field, value and remedy; nothing is written."""
    source = history(tmp_path / "source", name, text)

    status = main([str(source), str(tmp_path / "out")])

    assert status == 2
    assert re.search(said, capsys.readouterr().err)
    assert not list((tmp_path / "out").glob("*.csv.gz"))


def test_two_histories_of_one_layout_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither is left out in silence; both are named."""
    source = history(history(tmp_path, "a", KONFLUX), "b", KONFLUX)

    status = main([str(source), str(tmp_path / "out")])

    message = capsys.readouterr().err
    assert status == 2
    assert "leave one of two histories of konflux" in message


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "--expand.*start_config"),
        ({"start_config_june.csv": CONFIG}, "start_config_YYYY-MM-DD.csv"),
        (
            {"start_config_2025-06-30.csv": CONFIG + "staging,a,a,x,0,\n"},
            "line 2, replicas: 'x'.*0 to 10000",
        ),
        (
            {"start_config_2025-06-30.csv": CONFIG + "staging,a,a,1,0,daily\n"},
            "line 2, cron_schedules: 'daily'",
        ),
    ],
)
def test_expansion_that_cannot_be_made_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    config: dict[str, str],
    said: str,
) -> None:
    """The error names what of the configuration of starts is wrong."""
    source = history(tmp_path, "govuk-deploys", GOVUK)
    for name, text in config.items():
        (source / "govuk-deploys" / name).write_text(text)

    status = main(["--expand", str(source), str(tmp_path / "out")])

    assert status == 2
    assert re.search(said, capsys.readouterr().err)


def test_folders_that_cannot_be_used_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing to read, and nowhere to write."""
    source = history(tmp_path, "a", KONFLUX)
    (tmp_path / "file").write_text("")

    missing = main([str(tmp_path / "none"), str(tmp_path / "out")])
    unwritable = main([str(source), str(tmp_path / "file")])

    message = capsys.readouterr().err
    assert (missing, unwritable) == (2, 2)
    assert "name a folder that exists" in message
    assert "name a folder to write to" in message


@pytest.mark.parametrize("option", [["--from", "June"], ["--one-app-in", "0"]])
def test_options_that_make_no_sense_are_refused(
    capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    """The command line is answered with what it should have been."""
    with pytest.raises(SystemExit) as caught:
        main([*option, "a", "b"])

    assert caught.value.code == 2
    assert "give" in capsys.readouterr().err
