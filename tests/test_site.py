"""The website as its reader gets it: links, alternative text, and every page in a real browser.

Needs a built site: `make test` builds one and names it in CONVNETS_SITE; on its own, `_build/html` is used.
"""

import functools
import gzip
import http.server
import json
import os
import re
import subprocess
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest
from bs4 import BeautifulSoup

from tests.browser import FLAGS, REQUIRED, find_browser
from tools.course import ROOT
from tools.site_node import TEST_TOOLS, install, node

pytestmark = pytest.mark.site
SITE = Path(os.environ.get("CONVNETS_SITE", ROOT / "_build/html"))
GENERATED = {"search.html", "genindex.html", "py-modindex.html"}  # Sphinx's own pages
PAGES = sorted(  # `lite/` is JupyterLite's own
    path
    for path in (p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html"))
    if not path.startswith(("_static/", "lite/"))
)
CONTENT = [p for p in PAGES if p not in GENERATED and p != "index.html"]
WIDTHS = {"desktop": 1400, "phone": 390}
MOST_BYTES = 250 * 1024  # of a page and what it loads by itself, sent as every static host sends text: gzip
MOST_REQUESTS = 30
MOST_SHIFT = 0.1
MOST_SCRIPT = (
    48 * 1024
)  # of a page's scripts, and of the one stylesheet that a page waits for, sent the same way
MOST_STYLE = 24 * 1024

if not PAGES and not os.environ.get("CONVNETS_SITE"):
    pytest.skip("no website in _build/html: `make book` builds it", allow_module_level=True)


@functools.cache
def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")


def test_the_site_has_every_notebook():
    for folder in ("notebooks", "exercises", "solutions"):
        for notebook in (ROOT / folder).glob("*.ipynb"):
            assert f"{folder}/{notebook.stem}.html" in PAGES


# ---- links -------------------------------------------------------------------------------------------------


def broken_links(page: str) -> list[str]:
    """Links of a page that lead to no file of the site, or to no anchor of that file."""
    broken = []
    for tag in soup(page).find_all(["a", "img", "script", "link", "source"]):
        address = tag.get("href") or tag.get("src")
        if not address or urlparse(address).scheme or address.startswith("//"):
            continue
        name, anchor = urldefrag(address)
        name = name.split("?")[0]
        path = (SITE / page).parent / unquote(name) if name else SITE / page
        if path.is_dir():
            path = path / "index.html"
        if not path.is_file():
            broken.append(address)
        elif anchor and path.suffix == ".html":
            target = soup(path.resolve().relative_to(SITE.resolve()).as_posix())
            if not target.find(id=unquote(anchor)) and not target.find(attrs={"name": unquote(anchor)}):
                broken.append(address)
    return broken


@pytest.mark.parametrize("page", PAGES)
def test_internal_links_and_anchors(page):
    assert broken_links(page) == []


def test_a_broken_link_is_noticed():
    page = CONTENT[0]
    soup.cache_clear()
    body = soup(page).body
    for address in ("nowhere.html", "#no-such-anchor"):
        body.append(soup(page).new_tag("a", href=address))
    assert set(broken_links(page)) == {"nowhere.html", "#no-such-anchor"}
    soup.cache_clear()


@pytest.mark.parametrize("page", PAGES)
def test_nothing_comes_from_another_host(page):
    """A page's own parts (not its links) lie on the site itself, so that it reads without a network."""
    for tag in soup(page).find_all(["script", "img", "link", "source", "iframe"]):
        address = tag.get("src") or (tag.get("href") if "stylesheet" in tag.get("rel", []) else None) or ""
        assert not address.startswith(("http:", "https:", "//")), address


@pytest.mark.parametrize("page", CONTENT)
def test_what_a_page_waits_for(page):
    """One stylesheet before anything is drawn, no script; and little of both: what makes a page fast everywhere."""
    head = soup(page).head
    scripts = head.find_all("script", src=True)
    assert all(script.has_attr("defer") or script.get("type") == "module" for script in scripts)
    assert not soup(page).body.find_all("script", src=True)
    sheets = [link for link in head.find_all("link", rel="stylesheet") if link.get("media") != "print"]
    assert [Path(link["href"]).name for link in sheets] == ["site.css"]
    size = {
        tag: len(sent((SITE / page).parent / address))
        for tag, address in [(s, s["src"]) for s in scripts] + [("css", sheets[0]["href"])]
    }
    assert size.pop("css") <= MOST_STYLE
    assert sum(size.values()) <= MOST_SCRIPT, size.values()


@pytest.mark.parametrize("page", CONTENT)
def test_pictures_have_alternative_text(page):
    article = soup(page).find("article")
    for image in article.find_all("img"):
        alt = image.get("alt", "").strip()
        assert len(alt) > 15, image.get("src")
        assert ".png" not in alt, alt


# ---- in a browser ------------------------------------------------------------------------------------------


@functools.cache
def sent(path: Path) -> bytes:
    """What a static host sends for a file: text is compressed."""
    body = path.read_bytes()
    return gzip.compress(body, 6, mtime=0) if is_text(path) else body


def is_text(path: Path) -> bool:
    return path.suffix in {".html", ".css", ".js", ".mjs", ".json", ".svg", ".txt", ".py", ".ipynb", ".md"}


class Host(http.server.SimpleHTTPRequestHandler):
    """A static host like those that courses are published on: compressed text, kept connections."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            self.send_error(404)
            return
        body = sent(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        if is_text(path):
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def address():
    """The site, served on this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Host, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def web():
    """The folder of the programs from npm that measure pages, installed."""
    try:
        install(TEST_TOOLS)
    except (FileNotFoundError, RuntimeError) as error:
        if REQUIRED:
            pytest.fail(f"CONVNETS_REQUIRE_BROWSER is set, but {error}")
        pytest.skip(str(error))
    return TEST_TOOLS


SHIFTS = """window.shifted = 0;
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifted += entry.value;
}).observe({ type: 'layout-shift', buffered: true });"""


def open_page(browser, address, page, width=1400, scheme="light", **settings):
    """A page in a window of some width, with a list of what went wrong and of what it asked for."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **settings)
    tab = context.new_page()
    tab.errors, tab.foreign, tab.requests = [], [], []
    tab.add_init_script(SHIFTS)
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.on("console", lambda m: tab.errors.append(m.text) if m.type == "error" else None)

    def note(request):
        if not request.url.startswith((address, "data:", "blob:")):
            tab.foreign.append(request.url)
        elif request.url.startswith("http"):
            tab.requests.append(unquote(urlparse(request.url).path).lstrip("/"))

    tab.on("request", note)
    tab.on("response", lambda r: tab.errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    tab.goto(f"{address}/{page}", wait_until="load")
    if settings.get("java_script_enabled", True):
        tab.evaluate("document.fonts.ready.then(() => true)")
    tab.wait_for_load_state("networkidle")
    if settings.get("java_script_enabled", True):
        tab.wait_for_function(f"!({OPENING})", timeout=60_000)
    return tab


OPENING = "'opening' in document.documentElement.dataset"  # what is far below is still to be laid out
NO_IDLE_TIME = "window.requestIdleCallback = () => 0"  # so that a page stays as it opens
WAITS = """() => [...document.querySelectorAll('.course-far')]
    .filter(e => getComputedStyle(e).contentVisibility !== 'visible').length"""


@pytest.fixture
def opening(browser, address):
    """Opens a page that goes on opening until its reader does something."""
    contexts = []

    def open_it(page, width=390, script=NO_IDLE_TIME):
        context = browser.new_context(viewport={"width": width, "height": 800})
        contexts.append(context)
        tab = context.new_page()
        tab.add_init_script(script)
        tab.goto(f"{address}/{page}", wait_until="load")
        return tab

    yield open_it
    for context in contexts:
        context.close()


def weigh(page: str, requests: list[str]) -> dict[str, int]:
    """Requests and bytes of a page before its reader does anything; lazily loaded pictures apart."""
    lazy = {
        os.path.normpath(f"{Path(page).parent}/{unquote(image['src'])}")
        for image in soup(page).find_all("img", loading="lazy")
    }
    files = [SITE / name for name in dict.fromkeys(requests) if name not in lazy]
    return {
        "requests": len(files),
        "sent": sum(len(sent(path)) for path in files),
        "unpacked": sum(path.stat().st_size for path in files),
    }


WIDE_ELEMENTS = """() => [...document.querySelectorAll('article *')].filter(e => {
    const r = e.getBoundingClientRect();
    if (!r.width || (r.left >= -1 && r.right <= innerWidth + 1)) return false;
    for (let p = e; p && p.tagName !== 'ARTICLE'; p = p.parentElement)       // what scrolls in its own box is fine
        if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)) return false;
    return true;
}).slice(0, 5).map(e => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 40))"""

# Formulas that begin left of the screen, where nobody can scroll to, and equation numbers that are not on the screen.
FORMULAS = """() => [...document.querySelectorAll('article .katex-html, article .katex-tag')].filter(e => {
    const r = e.getBoundingClientRect();
    return r.width && (r.left < -1 || (e.className === 'katex-tag' && r.right > innerWidth + 1));
}).map(e => e.className + ' ' + e.textContent.slice(0, 40))"""

# The size of each picture, and the width it is shown with; without those that an interactive figure replaces.
PICTURES = """() => [...document.querySelectorAll('article img')].filter(i => !i.parentElement.shadowRoot)
    .map(i => [i.complete && i.loading !== 'lazy' ? i.naturalWidth : Number(i.getAttribute('width')), i.clientWidth])"""

# axe on what a reader reads. Left to the check of contrast below, as they hold most elements of a page: code, and the
# part of a formula that is drawn for the eye (screen readers get its MathML). axe would measure them all the same, so
# they are empty boxes of their size while it runs.
AXE = """async (rules) => {
    const left = [...document.querySelectorAll('.highlight pre, .katex-html')].map(e => [e, e.getBoundingClientRect()]);
    const filled = left.map(([e, { width, height }]) => {
        const [inside, style] = [[...e.childNodes], e.getAttribute('style')];
        e.replaceChildren();
        if (width) e.style.cssText += `; display: inline-block; width: ${width}px; height: ${height}px`;
        return () => { e.replaceChildren(...inside); style === null ? e.removeAttribute('style') : e.setAttribute('style', style) };
    });
    const result = await axe.run({ exclude: ['.highlight pre', '.katex-html'] }, {
        resultTypes: ['violations'], ...(rules ? { runOnly: { type: 'rule', values: rules } } : {}) });
    filled.forEach(fill => fill());
    return result.violations.filter(v => ['serious', 'critical'].includes(v.impact))
        .map(v => `${v.impact} ${v.id}: ${v.help}: ` + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | '));
}"""

CONTRAST = """() => {
    const TEXTS = ["p", "li", "td", "th", "h1", "h2", "h3", "summary", "pre span", "a:not(.headerlink)", ".katex"].map(t => "article " + t).join();
    const rgb = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1] };
    const linear = v => v / 255 <= .03928 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
    const lum = c => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
    const bad = [];
    for (const e of document.querySelectorAll(TEXTS)) {
        if (!e.textContent.trim() || !e.getClientRects().length) continue;
        const fg = rgb(getComputedStyle(e).color);
        let p = e, bg = [0, 0, 0, 0];
        while (p && bg[3] < .95) { bg = rgb(getComputedStyle(p).backgroundColor); p = p.parentElement }
        const a = lum(fg), b = lum(bg[3] < .95 ? [255, 255, 255] : bg);
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (ratio < 4.5) bad.push(e.tagName + ' ' + ratio.toFixed(2) + ' ' + e.textContent.slice(0, 30));
    }
    return bad.slice(0, 5);
}"""


SETTLE = """() => new Promise(requestAnimationFrame).then(() => document.getAnimations()
    .filter(a => Number.isFinite(a.effect.getComputedTiming().endTime)).forEach(a => a.finish()))"""


def look(tab, width: int, scheme: str) -> None:
    """Everything that one page must keep, at one width of the window, light or dark."""
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(color_scheme=scheme)
    tab.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'", timeout=30_000)
    tab.evaluate(SETTLE)  # a color on its way from light to dark is neither
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(WIDE_ELEMENTS) == []
    assert tab.evaluate(CONTRAST) == []
    assert tab.evaluate(FORMULAS) == []
    sizes = tab.evaluate(PICTURES)
    assert all(natural > 0 and shown > 0 for natural, shown in sizes), sizes


@pytest.mark.browser
@pytest.mark.parametrize("page", CONTENT)
def test_page_in_browser(browser, address, web, page, record_property):
    """Loaded once, on a desktop for every second page and on a phone for the others; then resized and darkened."""
    widths = list(WIDTHS.values())
    if CONTENT.index(page) % 2:
        widths.reverse()
    tab = open_page(browser, address, page, widths[0])
    try:
        weight = weigh(page, tab.requests)
        record_property("page", page)
        record_property("weight", weight)
        assert weight["requests"] <= MOST_REQUESTS, tab.requests
        assert weight["sent"] <= MOST_BYTES, weight
        assert tab.evaluate("shifted") < MOST_SHIFT
        tab.evaluate((web / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
        for width in widths:
            for scheme in ("light", "dark"):
                look(tab, width, scheme)
                if width == widths[0]:
                    assert tab.evaluate(AXE, None if scheme == "light" else ["color-contrast"]) == [], scheme
        assert tab.locator(".katex-error, .problematic, .system-message").count() == 0
        assert tab.evaluate("typeof MathJax") == "undefined"
        text = tab.locator("article").inner_text()
        for markup in ("$$", "\\begin{", "{code-cell}", "```", ":::", "**", "\\tag"):
            body = "\n".join(line for line in text.splitlines() if "**" not in line or markup != "**")
            assert markup not in body, markup
        assert tab.errors == []
        assert tab.foreign == []
    finally:
        tab.context.close()


@pytest.mark.browser
def test_what_scrolls_is_reached_by_keyboard(browser, address):
    """axe looks at whole pages but not inside code: each box that scrolls sideways holds or is a Tab stop."""
    page = "notebooks/04_backpropagation.html"
    tab = open_page(browser, address, page, 390)
    stuck = """() => [...document.querySelectorAll('article *')].filter(e => e.scrollWidth > e.clientWidth + 1
        && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.clientWidth && e.tabIndex < 0
        && e.checkVisibility() && !e.querySelector('[tabindex="0"], a[href], button, input')).map(e => e.tagName + '.' + e.className).slice(0, 5)"""
    tab.wait_for_function(f"({stuck})().length === 0", timeout=30_000)
    assert tab.locator('article pre[tabindex="0"]').count() > 0
    tab.set_viewport_size({"width": 1400, "height": 900})
    tab.wait_for_function("!document.querySelector('article .course-formula[tabindex]')", timeout=30_000)
    tab.context.close()


@pytest.mark.browser
def test_links_inside_a_page_land_past_figures_that_have_not_begun(browser, address):
    """Figures begin when they come near: neither from the contents nor by its address is a section missed."""
    page, place = "notebooks/06_numpy_network.html", "three-questions"
    lands = "id => Math.abs(document.getElementById(id).getBoundingClientRect().top - 64) < 40"
    tab = open_page(browser, address, page)
    assert not [name for name in tab.requests if "_course/figures/" in name and name.endswith(".js")]
    tab.locator(f'.bd-toc-nav a[href="#{place}"]').click()
    tab.wait_for_function(lands, arg=place)
    tab.context.close()
    tab = open_page(browser, address, f"{page}#{place}", 390)
    tab.wait_for_function(lands, arg=place)
    tab.evaluate("document.fonts.ready")
    assert tab.evaluate(lands, place)
    tab.context.close()


LONG = "notebooks/03_convolution_layer.html"


@pytest.mark.browser
def test_a_long_page_opens_in_pieces_and_is_whole_soon(browser, address, opening):
    tab = opening(LONG)
    assert tab.evaluate(OPENING)
    assert tab.evaluate(WAITS) > 50
    tab = open_page(browser, address, LONG, 390)  # which waits until it has opened
    assert tab.evaluate(WAITS) == 0
    heights = (
        """() => [...document.querySelectorAll('.course-far')].map(e => e.getBoundingClientRect().height)"""
    )
    whole = opening(LONG, script="delete window.requestIdleCallback")
    assert not whole.evaluate(OPENING)
    assert tab.evaluate(heights) == whole.evaluate(heights)
    tab.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS.values())
def test_the_end_stays_where_it_is(opening, width):
    """Whoever presses End while a page opens sees its end, and it does not move."""
    tab = opening(LONG, width)
    assert tab.evaluate(OPENING)
    tab.keyboard.press("End")
    assert not tab.evaluate(OPENING)
    below = "document.documentElement.scrollHeight - innerHeight - scrollY"
    tab.wait_for_function(f"scrollY > 3000 && Math.abs({below}) < 2")
    before = tab.evaluate("[scrollY, document.documentElement.scrollHeight]")
    tab.wait_for_timeout(1000)
    assert tab.evaluate("[scrollY, document.documentElement.scrollHeight]") == before


@pytest.mark.browser
@pytest.mark.parametrize("what", ["click", "print", "find"])
def test_a_page_is_whole_before_its_reader_goes_far(opening, what):
    tab = opening(LONG)
    assert tab.evaluate(OPENING)
    if what == "click":
        tab.locator("article h1").first.click()
    elif what == "print":
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    else:
        tab.keyboard.press("Control+f")
    tab.wait_for_function(f"!({OPENING})")
    assert tab.evaluate(WAITS) == 0


@pytest.mark.browser
def test_nothing_moves_under_a_reader_who_scrolls_while_a_page_opens(opening):
    """What waits below comes into place before it is seen, and what is above keeps its place when all of it opens."""
    tab = opening(LONG)
    for _ in range(6):
        tab.mouse.wheel(0, 700)
        tab.wait_for_timeout(100)
    seen = """() => { window.seen ??= document.elementsFromPoint(150, 400).find(e => e.parentNode.localName === 'section');
        return Math.round(seen.getBoundingClientRect().top) }"""
    tab.wait_for_function("scrollY > 3000")
    tab.wait_for_timeout(500)
    before = tab.evaluate(seen)
    assert tab.evaluate(OPENING)
    tab.keyboard.press("Control+f")
    assert not tab.evaluate(OPENING)
    tab.wait_for_timeout(300)
    assert abs(tab.evaluate(seen) - before) <= 2


@pytest.mark.browser
def test_a_page_opens_whole_at_an_anchor_and_where_its_reader_was(opening, address):
    """The place to which an address leads, and the one to which a reload or the Back button returns, are exact."""
    place = "three-questions"
    top = f"document.getElementById('{place}').getBoundingClientRect().top"
    tab = opening(f"{LONG}#{place}")
    assert not tab.evaluate(OPENING)
    tab.wait_for_function(f"Math.abs({top} - 64) < 40")
    tab = opening(LONG)
    assert tab.evaluate(OPENING)
    tab.locator("article h1").first.click()
    tab.evaluate(f"document.getElementById('{place}').scrollIntoView()")
    before = tab.evaluate(top)
    tab.wait_for_timeout(500)
    tab.reload(wait_until="load")
    assert not tab.evaluate(OPENING)
    tab.wait_for_function(f"Math.abs({top} - {before}) < 40")
    tab.goto(f"{address}/{CONTENT[0]}")
    tab.go_back()
    tab.wait_for_function(f"Math.abs({top} - {before}) < 40")


@pytest.mark.browser
def test_dark_pages_never_flash(browser, address):
    """Dark stands before the first stroke is drawn: without any script file, in the machine's setting."""
    context = browser.new_context(color_scheme="dark")
    tab = context.new_page()
    tab.route("**/*.js", lambda route: route.abort())
    tab.goto(f"{address}/{CONTENT[0]}")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(18, 18, 18)"
    context.close()


@pytest.mark.browser
def test_page_without_scripts(browser, address):
    """Formulas, pictures and the stand-ins of interactive figures show, and no button that would do nothing."""
    page = "notebooks/03_convolution_layer.html"
    tab = open_page(browser, address, page, java_script_enabled=False)
    picture = tab.locator("conv-explorer img").first
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box["width"] > 100
    assert box["height"] > 50
    assert tab.locator("article .katex-html").first.is_visible()
    assert not tab.locator(".theme-switch-button").first.is_visible()
    assert tab.locator(".course-far").count() > 50
    assert tab.locator("html[data-opening]").count() == 0  # the page is laid out whole
    tab.context.close()


@pytest.mark.browser
def test_the_theme_still_works(browser, address):
    """The menus at the top, the search with its keys, and on a phone the contents at the side."""
    page = CONTENT[-1]
    tab = open_page(browser, address, page)
    menu = tab.locator(".dropdown-download-buttons")
    menu.locator("button").first.click()
    menu.locator(".dropdown-menu").wait_for(state="visible")
    tab.keyboard.press("Escape")
    tab.keyboard.press("Control+k")
    tab.locator(".search-button__search-container input").wait_for(state="visible")
    tab.keyboard.type("padding")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("ul.search li a", timeout=60_000)
    assert tab.errors == []
    tab.context.close()
    tab = open_page(browser, address, page, 390)
    contents = tab.locator(".bd-sidebar-primary")
    assert not contents.is_visible() or contents.bounding_box()["x"] < 0
    tab.locator(".primary-toggle").click()
    tab.wait_for_function("document.querySelector('.bd-sidebar-primary').getBoundingClientRect().x >= 0")
    assert tab.errors == []
    tab.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("page", ["notebooks/13_vgg.html", "exercises/17_comparing_networks.html"])
def test_on_a_phone_the_contents_open_at_the_page_that_is_shown(browser, address, page):
    tab = open_page(browser, address, page, 390)
    tab.locator(".primary-toggle").click()
    tab.wait_for_timeout(600)
    here = tab.locator(".bd-sidebar-primary .current > a").last
    assert here.get_attribute("href") == "#"  # Sphinx's link to the page itself
    assert here.evaluate("e => e === document.activeElement")
    middle = here.bounding_box()["y"] / tab.viewport_size["height"]
    assert 0.15 < middle < 0.6
    tab.keyboard.press("Escape")
    tab.wait_for_timeout(600)
    assert not here.is_visible()
    assert tab.locator(".primary-toggle").evaluate("e => e === document.activeElement")
    tab.context.close()


@pytest.mark.browser
def test_copy_buttons_copy(browser, address):
    """Each code cell's button puts the code into the clipboard: one of the scripts that were joined."""
    page = next(p for p in CONTENT if p.startswith("notebooks/"))
    tab = open_page(browser, address, page, permissions=["clipboard-read", "clipboard-write"])
    cell = tab.locator("div.highlight:visible").first
    cell.hover()
    cell.locator("button.copybtn").click()
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied.strip().splitlines()[0] in cell.locator("pre").inner_text()
    tab.context.close()


@pytest.mark.parametrize("page", [p for p in CONTENT if not p.startswith("book/")])
def test_code_is_that_of_the_notebook(page):
    """To the byte, whatever the colors: it is copied, edited and run."""
    notebook = json.loads((SITE / "_sources" / page).with_suffix(".ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    shown = [pre.get_text() for pre in soup(page).select("div.cell .cell_input pre")]
    assert [text.removesuffix("\n") for text in shown] == [text for text in cells if text]


@pytest.mark.browser
def test_code_has_no_spans_but_those_that_show(browser, address):
    """Every class of token is drawn differently from the code around it, in light or in dark."""
    found = set()
    for page in CONTENT:
        text = (SITE / page).read_text(encoding="utf-8")
        for block in re.findall(r'cell_input[^"]*"[^>]*>.*?</pre>', text, re.DOTALL):
            found |= set(re.findall(r'<span class="([^"]*)"', block))
    assert {"c1", "k", "s2"} <= found
    tab = open_page(browser, address, LONG)
    looks = """names => {
        const pre = document.querySelector('.cell_input pre'), look = e => {
            const { color, fontStyle, fontWeight, textDecorationLine, backgroundColor } = getComputedStyle(e);
            return [color, fontStyle, fontWeight, textDecorationLine, e === pre ? 'rgba(0, 0, 0, 0)' : backgroundColor].join();
        };
        const spans = names.map(name => Object.assign(document.createElement('span'), { className: name, textContent: 'x' }));
        pre.append(...spans);
        const same = names.filter((name, i) => look(spans[i]) === look(pre));
        spans.forEach(span => span.remove());
        return same;
    }"""
    same = sorted(found)
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        tab.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        same = tab.evaluate(looks, same)
    assert same == []
    tab.context.close()


# ---- measured by programs from npm -------------------------------------------------------------------------


def test_html_is_valid(web):
    """Every rule of html-validate's standard, on every page."""
    command = [node(), "validate.mjs", str(SITE.resolve())]
    ran = subprocess.run(command, cwd=web, capture_output=True, text=True, check=True)
    *problems, last = ran.stdout.splitlines()
    assert problems == []
    assert last == f"{len(PAGES)} pages checked"


MEASURED = {
    "book/front/home.html": "mobile",
    "notebooks/03_convolution_layer.html": "mobile",
    "exercises/04_backpropagation.html": "desktop",
    "book/back/glossary.html": "desktop",
}


@pytest.mark.browser
@pytest.mark.parametrize("page", MEASURED)
def test_lighthouse(address, web, page, record_property):
    """100 for accessibility, best practices and search engines. Performance, which other work on the machine
    disturbs, is reported; the gates above hold what it depends on: bytes, requests, shifts."""
    program = find_browser()
    if not program:
        pytest.skip("no Chromium or Chrome on this machine")
    command = [node(), "lighthouse.mjs", f"{address}/{page}", program, MEASURED[page], *FLAGS]
    ran = subprocess.run(command, cwd=web, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr[-2000:]
    measured = json.loads(ran.stdout.splitlines()[-1])
    record_property("page", page)
    record_property("lighthouse", {"device": MEASURED[page], **measured["scores"], **measured["metrics"]})
    assert measured["below"] == []
    for category in ("accessibility", "best-practices", "seo"):
        assert measured["scores"][category] == 100, category


@pytest.mark.browser
def test_folded_answers_open(browser, address):
    page = next(p for p in CONTENT if p.startswith("notebooks/"))
    tab = open_page(browser, address, page)
    fold = tab.locator("article details").first
    fold.scroll_into_view_if_needed()
    before = fold.bounding_box()["height"]
    fold.locator("summary").click()
    assert fold.bounding_box()["height"] > before
    tab.context.close()


@pytest.mark.browser
def test_a_figure_with_much_data_begins_when_it_is_near(browser, address):
    tab = open_page(browser, address, "notebooks/06_numpy_network.html")
    assert not [url for url in tab.requests if url.endswith(".bin")]
    for name in ("lenet-explorer", "confusion-browser"):
        tab.locator(f"course-later[figure={name}], {name}").scroll_into_view_if_needed()
        tab.wait_for_function(
            f"document.querySelector('{name}')?.shadowRoot?.querySelector('button')", timeout=30_000
        )
    assert tab.locator("course-later").count() == 0
    assert tab.errors == []
    tab.context.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("equivariance", "notebooks/01_images_are_arrays"),
        ("1x1 convolution", "notebooks/08_cost_of_a_layer"),  # our pages write 1×1
        ("1×1 convolution", "notebooks/08_cost_of_a_layer"),
        ("checkerboard", "notebooks/09_other_convolutions"),
    ],
)
def test_search_finds(browser, address, query, page):
    """The page is among what is found, and no solution stands above a page that is none."""
    tab = open_page(browser, address, f"search.html?q={query}")
    tab.wait_for_function(  # Sphinx adds one result after the other, then says how many there are
        "/\\d+/.test(document.querySelector('.search-summary')?.innerText)", timeout=60_000
    )
    links = "links => links.map(a => new URL(a.href).pathname.slice(1))"
    found = tab.locator("ul.search > li > a").evaluate_all(links)
    assert any(link.startswith(page) for link in found), found
    solutions = [link.startswith("solutions/") for link in found]
    assert solutions == sorted(solutions), found
    tab.context.close()


@pytest.mark.browser
def test_colab_and_download_buttons(browser, address):
    """The rocket menu leads to this notebook on Colab, the download menu to the notebook itself."""
    from tools.course import config, repository_url

    page = next(p for p in CONTENT if p.startswith("notebooks/"))
    tab = open_page(browser, address, page)
    links = tab.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
    owner = repository_url().removeprefix("https://github.com/")
    notebook = page.replace(".html", ".ipynb")
    branch = config()["repository"]["branch"]
    assert f"https://colab.research.google.com/github/{owner}/blob/{branch}/{notebook}" in links
    assert any(link.endswith(Path(notebook).name) and link.startswith(address) for link in links)
    tab.context.close()


@pytest.mark.browser
def test_dark_mode_can_be_chosen_and_stays(browser, address):
    tab = open_page(browser, address, CONTENT[0], scheme="light")
    for _ in range(3):
        if tab.evaluate("document.documentElement.dataset.theme") == "dark":
            break
        tab.locator("button.theme-switch-button:visible").first.click()
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.goto(f"{address}/{CONTENT[-1]}")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.context.close()
