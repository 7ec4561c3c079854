"""The front and back pages keep their promises: code gives the output shown, and each source has its entry."""

import re

import pytest

from tools import draw_home

PAPERS = re.compile(
    r"\]\((https://(?:arxiv\.org|doi\.org|hal\.science|papers\.nips\.cc|www\.deeplearningbook)[^)]*)\)"
)
TEXTS = sorted(draw_home.ROOT.glob("book/chapters/*.md")) + sorted(draw_home.ROOT.glob("book/exercises/*.md"))


def test_the_page_prints_and_shows_what_its_code_gives(capsys):
    assert draw_home.main(["--check"]) == 0, capsys.readouterr().out


def test_the_check_on_the_how_to_page_says_what_the_page_shows():
    _, printed, promised = draw_home.run_page(draw_home.ROOT / "book/front/how_to.md")
    assert printed == promised


def test_a_wrong_output_is_refused(tmp_path, monkeypatch, capsys):
    page = tmp_path / "home.md"
    words = draw_home.PAGE.read_text(encoding="utf-8")
    code, output = words.split("```text\n")
    page.write_text(code + "```text\n" + output.replace("26", "28"), encoding="utf-8")
    monkeypatch.setattr(draw_home, "PAGE", page)
    assert draw_home.main(["--check"]) == 1
    assert "the page says" in capsys.readouterr().out


def test_a_picture_that_was_edited_is_refused(tmp_path, monkeypatch, capsys):
    picture = tmp_path / "home.svg"
    picture.write_text("<svg/>", encoding="utf-8")
    monkeypatch.setattr(draw_home, "PICTURE", picture)
    assert draw_home.main(["--check"]) == 1
    assert "tools.draw_home" in capsys.readouterr().out


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_paper_that_a_page_cites_has_an_entry_in_the_references(text):
    entries = (draw_home.ROOT / "book/back/references.md").read_text(encoding="utf-8")
    cited = set(PAPERS.findall(text.read_text(encoding="utf-8")))
    assert {address for address in cited if f"({address})" not in entries} == set()
