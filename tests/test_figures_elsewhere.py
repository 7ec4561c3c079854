"""The interactive figures where notebooks are shown: JupyterLab, Colab, VS Code, nbconvert, GitHub, old browsers, paper.

JupyterLab and nbconvert are the real ones. Colab's frames and VS Code's page are imitations: the sandbox, the rules,
the styles and the handling of keys as their documentation and sources describe them.
"""

import base64
import html
import re
import shutil
import time

import nbconvert
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.lab import choose, open_notebook, serving
from tools import draw_figures
from tools.course import ROOT
from utils import figures

pytestmark = pytest.mark.browser
MAKE = draw_figures.SHOWN
CONTRAST = (ROOT / "tests/figures/contrast.js").read_text(encoding="utf-8")
CHAPTER = "notebooks/03_convolution_layer.ipynb"
GRID = '[data-y="0,0,0"]'  # the first output of the convolution explorer
CELL = '[data-cell="w,0,0,0,0"]'  # the first weight of its kernel


def shown(figure) -> str:
    return figure._repr_mimebundle_()[0]["text/html"]


def output(figure):
    data, about = figure._repr_mimebundle_()
    return new_output("execute_result", data=data, metadata=about, execution_count=1)


@pytest.fixture
def tab(browser):
    """A tab that keeps in `errors` what went wrong."""
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
    yield page
    context.close()


def started(place, name):
    """The figure of that name, when it has drawn itself."""
    figure = place.locator(name)
    figure.locator(".frame").first.wait_for(timeout=20_000)
    return figure


def play(place, keyboard) -> None:
    """Use a convolution explorer by mouse and by keyboard: every kind of control."""
    figure = started(place, "conv-explorer")
    figure.locator("[data-option=stride]").fill("3")
    figure.locator("[data-option=padding]").focus()
    keyboard.press("Home")
    assert figure.locator("[data-part=y] td").count() == 4
    figure.locator(GRID).click()
    keyboard.press("ArrowRight")  # while the mouse rests on another output
    assert figure.locator(".sum").inner_text().startswith("y[0, 1] = ")
    figure.locator(CELL).fill("7")
    assert "·7 " in figure.locator(".sum").inner_text()
    figure.locator("[data-press=predict]").click()
    for field in figure.locator(".ask input").all():
        field.fill("2")
    keyboard.press("Enter")
    assert figure.locator("[role=status]").inner_text() == "Right."


# ---- JupyterLab ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab with the set-up, the imports and the figure of a chapter; the figure as the scripts draw it now."""
    course = tmp_path_factory.mktemp("figures") / "course"
    shutil.copytree(ROOT / "utils", course / "utils", ignore=shutil.ignore_patterns("__pycache__"))
    chapter = nbformat.read(ROOT / CHAPTER, as_version=4)
    kept = ("# Find the course.", "figures.", "plot.style()")
    chapter.cells = [c for c in chapter.cells if c.cell_type == "code" and any(k in c.source for k in kept)]
    assert len(chapter.cells) == 3
    chapter.cells[-1].outputs = [output(figures.conv_explorer(stride=2, padding=1))]
    (course / CHAPTER).parent.mkdir()
    nbformat.write(chapter, course / CHAPTER)
    with serving(course) as address:
        yield address, course


def test_jupyterlab_shows_the_picture_of_what_it_does_not_trust(lab, tab):
    """A notebook from elsewhere: JupyterLab leaves out the element and the script."""
    open_notebook(tab, lab[0], CHAPTER)
    stand_in = tab.locator(".jp-OutputArea-output img")
    assert stand_in.get_attribute("alt").startswith("A convolution to move")
    assert stand_in.evaluate("e => e.naturalWidth") >= 600
    assert stand_in.bounding_box()["height"] > 100
    assert tab.locator("conv-explorer").count() == 0
    assert "connectedCallback" not in tab.locator(".jp-Notebook").inner_text()
    assert tab.errors == []


def test_jupyterlab(lab, tab):
    address, _ = lab
    open_notebook(tab, address, CHAPTER)
    cells = tab.locator(".jp-Notebook .jp-Cell")
    choose(tab, "Run", "Run All Cells")
    figure = started(tab, "conv-explorer")

    # keys inside the figure are the figure's, whatever has the focus
    for place in ("[data-press=flip]", "[data-option=stride]", CELL, GRID, "[data-kernel]"):
        figure.locator(place).focus()
        for key in ("a", "b", "x", "d", "d", "m", "ArrowUp", "ArrowDown", "Shift+M", "Backspace"):
            tab.keyboard.press(key)
        assert cells.count() == 3, place
        assert tab.locator(".jp-CodeCell").count() == 3, place
        assert tab.locator(".jp-mod-active .jp-InputArea").last.inner_text().endswith("padding=1)"), place
    play(tab, tab.keyboard)

    # run again, twice: one figure, as it begins
    for _ in range(2):
        tab.locator(".jp-CodeCell .cm-content").last.click()
        tab.keyboard.press("Control+Enter")
        tab.wait_for_function(
            "document.querySelector('#jp-main-statusbar').innerText.includes('| Idle')"
            " && document.querySelector('conv-explorer')?.shadowRoot.querySelector('[data-option=stride]').value === '2'"
        )
    assert figure.count() == 1
    play(tab, tab.keyboard)

    # closed and opened: what JupyterLab ran and saved is trusted, and moves without running
    tab.locator(".jp-CodeCell .cm-content").last.click()
    tab.keyboard.press("Control+s")
    tab.wait_for_function("!document.querySelector('.lm-TabBar-tab.jp-mod-dirty')")
    tab.locator("#jp-main-dock-panel .lm-mod-current .lm-TabBar-tabCloseIcon").click()
    cells.first.wait_for(state="detached")
    tab.locator(".jp-DirListing-item", has_text=CHAPTER.split("/")[1]).dblclick()
    play(tab, tab.keyboard)

    # in the dark
    choose(tab, "Settings", "Theme", "JupyterLab Dark")
    tab.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    tab.wait_for_timeout(500)
    assert figure.evaluate(CONTRAST) == []

    # the keys above would have been JupyterLab's, had they not been pressed inside the figure
    tab.locator(".jp-CodeCell .jp-InputPrompt").last.click()
    tab.keyboard.press("b")
    assert cells.count() == 4
    assert tab.errors == []


# ---- Colab and VS Code ---------------------------------------------------------------------------------------


def colab(figure) -> str:
    """The frame of an output: a sandbox of an origin of its own, dark."""
    style = "html { font: 14px Roboto, sans-serif } html[theme=dark] { color: #d5d5d5; background: #383838 }"
    page = f"<!doctype html><html theme=dark><style>{style} body {{ margin: 0 }}</style><body>{shown(figure)}"
    return f'<iframe sandbox=allow-scripts style="width: 100%; height: 900px; border: 0" srcdoc="{html.escape(page)}"></iframe>'


# How much of what lies below it every head lets through that stays while its table scrolls, from 0 to 1.
STICKY = """(figure) => {
    const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
    const through = (color) => {
        pen.clearRect(0, 0, 1, 1);
        pen.fillStyle = color;
        pen.fillRect(0, 0, 1, 1);
        return 1 - pen.getImageData(0, 0, 1, 1).data[3] / 255;
    };
    const styles = [...figure.shadowRoot.querySelectorAll("*")].map((e) => getComputedStyle(e));
    return styles.filter((style) => style.position === "sticky").map((style) => through(style.backgroundColor));
}"""


def test_colab(tab):
    """Every output has a frame: no storage, no cookies, no forms; as high as what is in it."""
    tab.set_content("<!doctype html>" + "".join(colab(make()) for make in MAKE.values()))
    heads = {}
    for name, frame in zip(MAKE, tab.locator("iframe").all(), strict=True):
        figure = started(frame.content_frame, name)
        figure.evaluate(
            "e => e.shadowRoot.querySelectorAll('details').forEach((fold) => { fold.open = true; })"
        )
        tab.wait_for_timeout(100)
        assert figure.evaluate(CONTRAST) == [], name
        heads[name] = figure.evaluate(STICKY)
        figure.evaluate(
            "e => e.shadowRoot.querySelectorAll('details').forEach((fold) => { fold.open = false; })"
        )
        high = figure.bounding_box()["height"]
        frame.evaluate("(frame, high) => { frame.style.height = high + 'px' }", high + 32)
        assert figure.bounding_box()["height"] == pytest.approx(high, abs=40), name
        assert figure.evaluate("() => document.documentElement.scrollWidth") <= 1000, name
    assert {name for name, found in heads.items() if found} == {
        "architecture-explorer",
        "receptive-field-explorer",
    }
    assert max(max(found, default=0) for found in heads.values()) == 0
    play(tab.locator(f"iframe >> nth={[*MAKE].index('conv-explorer')}").content_frame, tab.keyboard)
    assert tab.errors == []


RULES = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
RULES += "img-src https: http: data:; font-src https:; connect-src https:; child-src https: data:"
VSCODE = """
@layer vscode-default {
  body { background: transparent; color: var(--vscode-editor-foreground); font: 13px sans-serif; margin: 0; padding: 0 20px }
  input:focus, select:focus { outline: 1px solid -webkit-focus-ring-color; outline-offset: -1px }
  code { color: var(--vscode-textPreformat-foreground); background: var(--vscode-textPreformat-background) }
}
html { background: var(--vscode-editor-background) }
table, thead, tr, th, td, tbody { border: none !important; border-spacing: 0; border-collapse: collapse }
table { width: 100% }
table, th, tr { text-align: left !important }
th, td { padding: 4px 8px }
"""
COLORS = {"foreground": "#d4d4d4", "background": "#1e1e1e"}


def test_vscode(tab):
    """All outputs in one page, whose rules allow no blobs; its scripts run late, and keys go on to the editor."""
    variables = "; ".join(f"--vscode-editor-{name}: {value}" for name, value in COLORS.items())
    tab.set_content(
        f'<!doctype html><html style="{variables}"><meta charset=utf-8>'
        f'<meta http-equiv=Content-Security-Policy content="{RULES}"><style>{VSCODE}</style><body class=vscode-dark>'
    )
    tab.evaluate("() => { window.keys = []; addEventListener('keydown', (event) => keys.push(event.key)); }")
    append = """(text) => {
        const place = document.body.appendChild(document.createElement("div"));
        place.innerHTML = text;
        for (const old of place.querySelectorAll("script")) {
            const script = Object.assign(document.createElement("script"), { text: old.innerText });
            place.appendChild(script).remove();
        }
    }"""
    for make in MAKE.values():
        tab.evaluate(append, shown(make()))
    for name in MAKE:
        assert started(tab, name).evaluate(CONTRAST) == [], name
    play(tab, tab.keyboard)
    for place in ("[data-press=flip]", CELL, GRID):
        tab.locator("conv-explorer").locator(place).focus()
        for key in ("d", "d", "ArrowDown", "Enter", "Control+s"):
            tab.keyboard.press(key)
    assert set(tab.evaluate("keys")) == {"Control", "s"}
    assert tab.errors == []


# ---- pages made of notebooks ---------------------------------------------------------------------------------

THREE = ("conv-explorer", "lenet-explorer", "receptive-field-explorer")


@pytest.mark.parametrize(
    "options", [{}, {"template_name": "classic"}, {"theme": "dark"}], ids=["lab", "classic", "dark"]
)
def test_nbconvert(tab, tmp_path, options):
    cells = [new_code_cell("figures", execution_count=1, outputs=[output(MAKE[name]())]) for name in THREE]
    page, _ = nbconvert.HTMLExporter(**options).from_notebook_node(new_notebook(cells=cells))
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    tab.route("**/*", lambda r: r.continue_() if r.request.url.startswith("file:") else r.abort())
    tab.goto((tmp_path / "page.html").as_uri())
    for name in THREE:
        assert started(tab, name).evaluate(CONTRAST) == [], name
    play(tab, tab.keyboard)
    assert [e for e in tab.errors if "ERR_FAILED" not in e] == []  # its own scripts come from elsewhere


def test_a_picture_is_among_the_outputs_of_every_built_notebook():
    """GitHub runs no scripts; it has the picture, and its alternative text."""
    found = set()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for made in cell.get("outputs", []):
                name = next((n for n in MAKE if f"<{n} " in made.get("data", {}).get("text/html", "")), None)
                if name:
                    found.add(name)
                    assert len(base64.b64decode(made.data["image/png"])) <= draw_figures.LARGEST
                    assert len(made.metadata["image/png"]["alt"]) > 60
                    assert made.data["text/plain"].startswith("Figure: ")
    assert found == set(MAKE)


# ---- what fails ----------------------------------------------------------------------------------------------

LATE = """for (const name of ["addEventListener", "getElementById", "querySelector"]) ShadowRoot.prototype[name] = function () {
    throw Error("broken");
};"""


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_that_breaks_shows_its_picture(tab, name):
    """Half built: the picture comes back, and the page goes on."""
    tab.add_init_script(LATE)
    tab.goto("about:blank")
    tab.set_content(
        f"<!doctype html>{shown(MAKE[name]())}<p id=after><script>after.append('goes on')</script>"
    )
    tab.get_by_text("This figure could not start (broken).").wait_for()
    assert tab.locator(f"{name} img").bounding_box()["height"] > 100
    assert tab.locator("#after").inner_text() == "goes on"
    assert tab.errors == []


def test_one_that_breaks_leaves_the_others_alone(tab):
    whole = shown(figures.pooling_explorer())
    broken = re.sub(r"(extends HTMLElement\s*{\s*connectedCallback\(\)\s*{)", r"\1broken();", whole)
    assert broken != whole
    tab.set_content(
        f"<!doctype html>{shown(figures.transposed_explorer())}{broken}{shown(figures.conv_explorer())}"
    )
    assert "could not start (broken is not defined)" in tab.locator("pooling-explorer").inner_text()
    assert tab.locator("pooling-explorer img").bounding_box()["height"] > 100
    started(tab, "transposed-explorer")
    play(tab, tab.keyboard)
    assert tab.errors == []


SEEN = """(name) => {
    const figure = document.querySelector(name), drawn = figure.shadowRoot?.querySelector(".frame");
    return (drawn ?? figure.querySelector("img")).clientHeight > 100;
}"""


@pytest.mark.parametrize("missing", ["customElements", "DecompressionStream", "ResizeObserver"])
def test_an_old_browser_shows_the_picture_or_the_figure(tab, missing):
    tab.add_init_script(f"delete window.{missing}")
    tab.goto("about:blank")
    tab.set_content("<!doctype html>" + "".join(shown(MAKE[name]()) for name in THREE))
    for name in THREE:
        tab.wait_for_function(SEEN, arg=name)
    assert all(missing in error for error in tab.errors)


# ---- several on a page ---------------------------------------------------------------------------------------


def test_two_versions_on_a_page(tab):
    """Saved long ago, and run now: the first script defines the element for both, and nothing throws."""
    now = figures.conv_explorer(padding=1)
    old = shown(now).replace("Convolution explorer", "An older explorer")
    tab.set_content(f"<!doctype html><div>{old}</div><div>{shown(now)}{shown(now)}</div>")
    labels = tab.locator("conv-explorer .frame").evaluate_all("all => all.map((e) => e.ariaLabel)")
    assert labels == ["An older explorer"] * 3
    tab.evaluate("document.querySelector('conv-explorer').remove()")
    tab.evaluate("document.querySelector('conv-explorer').remove()")
    play(tab, tab.keyboard)
    assert tab.errors == []


def test_a_notebook_may_move_its_outputs(tab):
    """JupyterLab takes outputs out of the page and puts them back: each figure stays as it was."""
    tab.set_content("<!doctype html>" + "".join(shown(make()) for make in MAKE.values()))
    for name in MAKE:
        figure = started(tab, name)
        figure.locator("select, button").first.wait_for()
        before = figure.evaluate("e => e.shadowRoot.textContent")
        figure.evaluate("e => { e.remove(); document.body.prepend(e); }")
        time.sleep(0.05)
        assert figure.evaluate("e => e.shadowRoot.textContent") == before, name
        assert figure.locator("p", has_text="could not start").count() == 0
    assert tab.errors == []


def test_on_paper(tab):
    """Colors carry meaning: they are printed although browsers leave out backgrounds."""
    tab.set_content(f"<!doctype html>{shown(figures.conv_explorer())}")
    tab.emulate_media(media="print")
    cell = started(tab, "conv-explorer").locator("[data-part=y] td.on")
    assert cell.evaluate("e => getComputedStyle(e).printColorAdjust") == "exact"
    assert cell.bounding_box()["height"] >= 18
