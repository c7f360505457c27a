"""Reading traces: order, kinds, and what is refused by line and field."""

import gzip
from importlib.resources import files
from pathlib import Path

import pytest

from placement.core.errors import InputError
from placement.simulation.trace import Kind, read_trace

HEADER = "time,region,repository,tag,kind\n"


def trace_file(folder: Path, text: str, name: str = "trace.csv") -> Path:
    """A file with *text*, packed if its name says so."""
    path = folder / name
    packed = name.endswith(".gz")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


@pytest.mark.parametrize("name", ["trace.csv", "trace.csv.gz"])
def test_rows_are_read_as_they_are_written(tmp_path: Path, name: str) -> None:
    """Plain or gzipped, starts and removals, with the trace's names of regions."""
    text = (
        f"{HEADER}10,fra,t/web,v1,start\n11,lhr,t/web,v1,start\n12,fra,t/web,,remove\n"
    )

    trace = read_trace(trace_file(tmp_path, text, name))

    assert [row.time_s for row in trace.rows] == [10, 11, 12]
    assert [row.tag for row in trace.rows] == ["v1", "v1", None]
    assert [row.kind for row in trace.rows] == [Kind.START, Kind.START, Kind.REMOVE]
    assert trace.regions() == ("fra", "lhr")
    assert trace.was_ordered


def test_rows_are_sorted_and_those_of_one_second_stay(tmp_path: Path) -> None:
    """A file that is not in order of time is put in order, and that is said."""
    text = f"{HEADER}9,z,t/a,v1,start\n5,b,t/a,v1,start\n5,a,t/a,v1,start\n"

    trace = read_trace(trace_file(tmp_path, text))

    assert [row.region for row in trace.rows] == ["b", "a", "z"]
    assert not trace.was_ordered


def test_columns_may_stand_anywhere(tmp_path: Path) -> None:
    """Names count, not places; further columns and empty lines are passed over."""
    text = "kind,commit,tag,time,repository,region\n\nstart,c,v1,10.0,t/web,fra\n"

    (row,) = read_trace(trace_file(tmp_path, text)).rows

    assert (row.time_s, row.region, row.repository, row.tag) == (
        10,
        "fra",
        "t/web",
        "v1",
    )


@pytest.mark.parametrize("tag", ["", "-", "v1"])
def test_removal_needs_no_tag(tmp_path: Path, tag: str) -> None:
    """What left a region is an app, whatever version it was."""
    text = f"{HEADER}10,fra,t/web,{tag},remove\n"

    (row,) = read_trace(trace_file(tmp_path, text)).rows

    assert row.kind is Kind.REMOVE
    assert row.tag in {None, "v1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,region\n", "line 1.*repository,tag,kind"),
        (HEADER, "at least one row"),
        ("", "line 1.*must name the columns"),
        (f"{HEADER}10,fra,t/web\n", "line 2.*give each of"),
        (f"{HEADER}1e9,fra,t/web,v1,start\n", "line 2, time.*1e9.*whole unix seconds"),
        (f"{HEADER}10.5,fra,t/web,v1,start\n", "line 2, time.*whole unix seconds"),
        (f"{HEADER}1735689600000,fra,t/web,v1,start\n", "time.*not milliseconds"),
        (f"{HEADER}{'9' * 5000},fra,t/web,v1,start\n", "time.*not milliseconds"),
        (f"{HEADER}0,fra,t/web,v1,start\n", "line 2, time"),
        (f"{HEADER}10,,t/web,v1,start\n", "line 2, region"),
        (f"{HEADER}10,fra,T/web,v1,start\n", "line 2, repository.*T/web"),
        (f"{HEADER}10,fra,t/web,,start\n", "line 2, tag"),
        (f"{HEADER}10,fra,t/web,sha256:ab,start\n", "line 2, tag.*sha256:ab"),
        (f"{HEADER}10,fra,t/web,v1,stop\n", "line 2, kind.*stop.*start or remove"),
        (f'{HEADER}10,"fra,t/web,v1,start\n', "readable CSV"),
    ],
)
def test_what_is_wrong_is_said_by_line_and_field(
    tmp_path: Path, text: str, said: str
) -> None:
    """An error names file, line, field, value and what to write instead."""
    path = trace_file(tmp_path, text)

    with pytest.raises(InputError, match=said) as caught:
        read_trace(path)

    assert str(path) in str(caught.value)


def test_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    """Half a download is not half a trace."""
    path = trace_file(tmp_path, HEADER + "10,fra,t/web,v1,start\n" * 99, "t.csv.gz")
    path.write_bytes(path.read_bytes()[:40])

    with pytest.raises(InputError, match="readable CSV"):
        read_trace(path)


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The system's own reason is in the message."""
    with pytest.raises(InputError, match="No such file"):
        read_trace(tmp_path / "none.csv")


@pytest.mark.parametrize("name", ["govuk", "konflux", "phalanx"])
def test_carried_trace_is_in_order(name: str) -> None:
    """Each cut is a trace whose repositories begin with its own name."""
    carried = files("placement") / "data" / "traces" / f"{name}.csv.gz"

    trace = read_trace(Path(str(carried)))

    assert trace.was_ordered
    assert len(trace.rows) > 3_000
    assert {row.repository.partition("/")[0] for row in trace.rows} == {name}
