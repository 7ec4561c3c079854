"""utils.table: alignment, formats, HTML and CSV."""

import csv
import io

import pytest

from utils.table import Table


@pytest.fixture
def table():
    return Table(
        ["layer", "parameters", "share", "note"],
        [["conv", 1792, 0.25, None], ["dense <b>", 12_345_678, 0.75, "most"]],
        caption="Where the weights are",
        formats={"share": ".0%"},
        foot=["total", 12_347_470, 1.0, None],
    )


def test_text_is_aligned_numbers_to_the_right(table):
    assert str(table).splitlines() == [
        "Where the weights are",
        "layer      parameters  share  note",
        "---------  ----------  -----  ----",
        "conv            1,792    25%",
        "dense <b>  12,345,678    75%  most",
        "---------  ----------  -----  ----",
        "total      12,347,470   100%",
    ]
    assert repr(table) == str(table)


def test_html_has_the_same_cells_and_is_escaped(table):
    page = table._repr_html_()
    for text in ("Where the weights are", "12,345,678", "75%", "dense &lt;b&gt;", "<tfoot>", "12,347,470"):
        assert text in page
    assert "<b>" not in page
    assert page.count("<tr>") == 4
    assert '<td style="text-align:right">1,792</td>' in page
    assert '<td style="text-align:left">conv</td>' in page


def test_csv_has_the_values_themselves(table):
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert rows == [
        ["layer", "parameters", "share", "note"],
        ["conv", "1792", "0.25", ""],
        ["dense <b>", "12345678", "0.75", "most"],
    ]


def test_it_can_be_read_back(table):
    assert len(table) == 2
    assert table[1] == {"layer": "dense <b>", "parameters": 12_345_678, "share": 0.75, "note": "most"}
    assert table[-1] == table[1]
    assert [row["layer"] for row in table] == table.column("layer") == ["conv", "dense <b>"]
    with pytest.raises(ValueError, match="name: expected one of"):
        table.column("weights")
    with pytest.raises(IndexError):
        table[2]


def test_how_values_are_written():
    values = [True, False, 1234, 1234.5678, 0.00012345, "text", None, (1, 2)]
    texts = str(Table(["value"], [[v] for v in values])).splitlines()[2:]
    assert texts == ["yes", "no", "1,234", "1235", "0.0001234", "text", "", "(1, 2)"]
    made = Table(["size"], [[1], [3.5]], formats={"size": lambda v: f"<{v}>"})
    assert str(made).splitlines()[2:] == ["  <1>", "<3.5>"]
    assert "everything" in str(Table(["size"], [[7], ["everything"]], formats={"size": ".1f"}))


def test_a_table_without_rows():
    assert str(Table(["a", "b"], [])) == "a  b\n-  -"
    assert "<tbody>" in Table(["a"], [])._repr_html_()


def test_the_caller_may_change_his_lists_afterwards():
    rows = [[1]]
    table = Table(["a"], rows)
    rows[0][0] = 2
    assert table.column("a") == [1]


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match="rows: expected 2 values in each, got 1"):
        Table(["a", "b"], [[1]])
    with pytest.raises(ValueError, match="rows: expected 1 values"):
        Table(["a"], [[1]], foot=[1, 2])
    with pytest.raises(ValueError, match=r"formats: no column is called \['b'\]"):
        Table(["a"], [[1]], formats={"b": ","})
