"""The log of an experiment survives the moment in which the experiment is killed."""

import json

import pytest

from experiments import runlog

RUNS = [
    {"key": "ResNet, seed 0", "result": 0.5},
    {"key": "größer", "result": [1, 2]},
    {"key": "c", "result": None},
]


def test_entries_come_back_in_order(tmp_path):
    path = tmp_path / "new/folder/log.jsonl"
    assert runlog.entries(path) == []
    for run in RUNS:
        runlog.append(path, run)
    assert runlog.entries(path) == RUNS
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == RUNS


def lines(path) -> bytes:
    for run in RUNS[:2]:
        runlog.append(path, run)
    return path.read_bytes()


@pytest.mark.parametrize("lost", range(1, 60))
def test_a_log_that_was_cut_anywhere_keeps_its_whole_lines_and_goes_on(tmp_path, lost):
    path = tmp_path / "log.jsonl"
    whole = lines(path)
    path.write_bytes(whole[:-lost])
    second = len(whole.splitlines(keepends=True)[1])
    # a line without its line end is whole: the cut may take one byte more than the lines behind it
    kept = RUNS[: 2 - (lost > 1) - (lost > second + 1)]
    assert runlog.entries(path) == kept
    runlog.append(path, RUNS[2])
    assert runlog.entries(path) == [*kept, RUNS[2]]


def test_what_is_no_entry_is_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("\n7\n[1]\nnull\n" + json.dumps(RUNS[0]) + "\n")
    assert runlog.entries(path) == RUNS[:1]
