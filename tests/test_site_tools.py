"""How pages are finished (tools/site.py, tools/web): tiny pages as Jupyter Book would write them, and what becomes of them."""

import base64
import shutil
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.browser import REQUIRED
from tools import site
from tools.site_icons import USED, icons
from tools.site_node import SITE_TOOLS, install

PNG = (site.ROOT / "utils/figures/pictures/conv-explorer.png").read_bytes()
FIGURE = (
    '<div class="cell_output"><conv-explorer stride="2"><img alt="A figure that moves" '
    f'src="data:image/png;base64,{base64.b64encode(PNG).decode()}"></conv-explorer>'
    "<script>(() => { window.shown = 1; })();</script></div>"
)
INLINE = '<span class="math notranslate nohighlight">\\(x^2\\)</span>'
TAGGED = (
    '<div class="math notranslate nohighlight">\n\\[\n\\begin{aligned} y &= x \\thinspace w \\cr z &= 1 '
    "\\end{aligned} \\tag{3.2}\n\\]</div>"
)


@pytest.fixture(scope="module")
def _tools():
    try:
        install(SITE_TOOLS)
    except (FileNotFoundError, RuntimeError) as error:
        if REQUIRED:
            pytest.fail(f"CONVNETS_REQUIRE_BROWSER is set, but {error}")
        pytest.skip(str(error))


@pytest.fixture
def finish(_tools, tmp_path, capfd):
    """A function that finishes pages, given by the HTML of their articles; gives the status and what was said."""
    import pydata_sphinx_theme

    raw = tmp_path / "raw"
    theme = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
    vendor = "vendor/fontawesome"
    for kind in ("*/webfonts/*.ttf", "*/css/all.min.css"):
        for file in (theme / vendor).glob(kind):
            target = raw / "_static" / file.relative_to(theme)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    (raw / "_static/theme.css").write_text(".shown { color: red } .never-used { color: blue }")
    (raw / "_static/course.css").write_text("p { margin: 0 }")
    (raw / "_static/theme.js").write_text("window.themed = true;\n")
    (raw / "index.html").write_text('<meta http-equiv="Refresh" content="0; url=notebooks/a.html" />')

    def finish(**articles):
        (raw / "notebooks").mkdir(exist_ok=True)
        for name, article in articles.items():
            (raw / f"notebooks/{name}.html").write_text(
                '<!DOCTYPE html><html lang="en"><head><title>T</title>'
                '<link rel="stylesheet" href="../_static/theme.css"><link rel="stylesheet" href="../_static/course.css">'
                '<script src="../_static/theme.js"></script></head><body><main><article class="shown"><h1>T</h1>'
                f"<p><strong>Question.</strong> What is asked on this page, in a sentence?</p>{article}</article></main></body></html>"
            )
        status = site.finish(raw, tmp_path / "html")
        return status, capfd.readouterr().err

    finish.html = tmp_path / "html"
    finish.raw = raw
    return finish


def read(finish, page):
    return BeautifulSoup((finish.html / f"notebooks/{page}.html").read_text(encoding="utf-8"), "html.parser")


def test_formulas_become_html_and_mathml(finish):
    assert finish(a=INLINE + TAGGED) == (0, "")
    page = read(finish, "a")
    assert page.find("msup")
    assert page.find(class_="katex-tag").get_text() == "(3.2)"
    assert "\\" not in page.find("article").get_text()
    assert len(page.find_all("link", rel="preload")) == 2
    css = (finish.html / "_course/site.css").read_text(encoding="utf-8")
    fonts = {path.name for path in (finish.html / "_course/fonts").iterdir()}
    assert {"KaTeX_Main-Regular.woff2", "KaTeX_Math-Italic.woff2"} <= fonts
    assert all(name in css for name in fonts)
    assert "never-used" not in css


@pytest.mark.parametrize("tex", ["\\frac{1}{", "\\nosuchcommand x", "x^2^3"])
def test_a_formula_that_fails_stops_the_build_and_is_named(finish, tex):
    status, said = finish(a=INLINE, b=f'<span class="math">\\({tex}\\)</span>')
    assert status != 0
    assert "notebooks/b.html" in said
    assert tex in said
    assert "notebooks/a.html" not in said


def test_a_figure_on_two_pages_has_one_script_and_one_picture(finish):
    assert finish(a=FIGURE + FIGURE, b=FIGURE)[0] == 0
    scripts = list((finish.html / "_course/figures").glob("*.js"))
    pictures = list((finish.html / "_course/figures").glob("*.png"))
    assert len(scripts) == len(pictures) == 1
    assert pictures[0].read_bytes() == PNG
    for name, count in (("a", 2), ("b", 1)):
        page = read(finish, name)
        images = page.find("article").find_all("img")
        assert len(images) == count
        for image in images:
            assert image["src"] == f"../_course/figures/{pictures[0].name}"
            assert image["loading"] == "lazy"
            assert int(image["width"]) > 100
            assert image["alt"] == "A figure that moves"
        assert {figure["data-script"] for figure in page.find_all("conv-explorer")} == {
            f"../_course/figures/{scripts[0].name}"
        }  # page.js fetches it when a figure comes near
        assert not [s for s in page.find_all("script", src=True) if "figures" in s["src"]]
        assert not page.find("article").find("script")


@pytest.mark.parametrize(
    ("article", "words"),
    [
        ("<script>alert(1)</script>", "a script that the site does not know: alert(1)"),
        ('<i class="fas fa-hippo"></i>', "icon fas fa-hippo"),
        ('<div class="sd-tab-set"></div>', "needs a script that the site leaves out"),
    ],
)
def test_what_the_site_does_not_know_stops_the_build(finish, article, words):
    status, said = finish(a=article)
    assert status != 0
    assert "notebooks/a.html" in said
    assert words in said


def test_only_what_changed_is_written_again(finish):
    finish(a=INLINE, b="<p>Nothing but a sentence that stays as it is.</p>")
    pages = [finish.html / f"notebooks/{name}.html" for name in "ab"]
    before = [path.stat().st_mtime_ns for path in pages]
    finish()
    assert [path.stat().st_mtime_ns for path in pages] == before
    finish(a="<p>Another sentence, long enough to be one.</p>")
    assert pages[0].stat().st_mtime_ns > before[0]
    assert pages[1].stat().st_mtime_ns == before[1]
    (finish.raw / "notebooks/b.html").unlink()
    finish()
    assert not pages[1].exists()


def test_head_of_a_page(finish):
    finish(a="")
    page = read(finish, "a")
    description = page.find("meta", attrs={"name": "description"})["content"]
    assert description == "What is asked on this page, in a sentence?"
    assert page.html["data-page"] == "notebooks/a"
    assert len(page.find_all("meta", attrs={"name": "viewport"})) == 1
    sources = [script["src"] for script in page.find_all("script", src=True)]
    assert sources[0] == "../_course/site.js"
    assert [s.rpartition("/")[2] for s in sources[1:]] == [
        f for f, wants in site.GETS.items() if f.endswith(".js") and wants("notebooks/a.html")
        and (site.OWN / f).is_file()
    ]  # fmt: skip
    assert all(script.has_attr("defer") for script in page.find_all("script", src=True))
    assert "themed" in (finish.html / "_course/site.js").read_text(encoding="utf-8")


def test_icons_are_drawings(finish):
    drawings = icons(finish.raw)
    assert set(drawings) == {name for names in USED.values() for name in names}
    for drawing in drawings.values():
        assert drawing["path"].startswith("M")
    finish(
        a='<i class="fa-solid fa-sun fa-lg theme-switch" data-mode="light"></i><i class="fab fa-github"></i>'
    )
    page = read(finish, "a")
    assert not page.find_all("i")
    assert page.find("svg", class_="theme-switch")["data-mode"] == "light"
    for use in page.find_all("use"):
        assert page.find(id=use["href"].removeprefix("#"))
