"""The website as its reader gets it: links, alternative text, and every page in a real browser.

Needs a built site: `make test` builds one and names it in CONVNETS_SITE; on its own, `_build/html` is used.
"""

import functools
import http.server
import os
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest
from bs4 import BeautifulSoup

from tools.course import ROOT

pytestmark = pytest.mark.site
SITE = Path(os.environ.get("CONVNETS_SITE", ROOT / "_build/html"))
GENERATED = {"search.html", "genindex.html", "py-modindex.html"}  # Sphinx's own pages
PAGES = sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html") if "_static" not in p.parts)
CONTENT = [p for p in PAGES if p not in GENERATED and p != "index.html"]
WIDTHS = {"desktop": 1400, "phone": 390}

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
def test_pictures_have_alternative_text(page):
    article = soup(page).find("article")
    for image in article.find_all("img"):
        alt = image.get("alt", "").strip()
        assert len(alt) > 15, image.get("src")
        assert ".png" not in alt, alt


# ---- in a browser ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address():
    """The site, served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def open_page(browser, address, page, width=1400, scheme="light"):
    """A page in a window of some width, with a list of what went wrong and of requests to other hosts."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.errors, tab.foreign = [], []
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.on("console", lambda m: tab.errors.append(m.text) if m.type == "error" else None)
    tab.on(
        "request",
        lambda r: tab.foreign.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None,
    )
    tab.on("response", lambda r: tab.errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    tab.goto(f"{address}/{page}", wait_until="load")
    tab.wait_for_function("!window.MathJax || !MathJax.startup || MathJax.startup.promise.then(() => true)")
    tab.wait_for_load_state("networkidle")
    return tab


WIDE_ELEMENTS = """() => [...document.querySelectorAll('article *')].filter(e => {
    const r = e.getBoundingClientRect();
    if (!r.width || (r.left >= -1 && r.right <= innerWidth + 1)) return false;
    for (let p = e; p && p.tagName !== 'ARTICLE'; p = p.parentElement)       // what scrolls in its own box is fine
        if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)) return false;
    return true;
}).slice(0, 5).map(e => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 40))"""

# The size of each picture, and the width it is shown with; without those that an interactive figure replaces.
PICTURES = """() => [...document.querySelectorAll('article img')].filter(i => !i.parentElement.shadowRoot)
    .map(i => [i.naturalWidth, i.clientWidth])"""

CONTRAST = """() => {
    const TEXTS = ["p", "li", "td", "th", "h1", "h2", "h3", "summary", "pre span", "a:not(.headerlink)"].map(t => "article " + t).join();
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


def look(tab, width: int, scheme: str) -> None:
    """Everything that one page must keep, at one width of the window, light or dark."""
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(color_scheme=scheme)
    tab.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'", timeout=5_000)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(WIDE_ELEMENTS) == []
    assert tab.evaluate(CONTRAST) == []
    lefts = "[...document.querySelectorAll('article mjx-container')].map(e => e.getBoundingClientRect().left)"
    assert min(tab.evaluate(lefts), default=0) >= 0  # what begins left of the screen cannot be scrolled to
    sizes = tab.evaluate(PICTURES)
    assert all(natural > 0 and shown > 0 for natural, shown in sizes), sizes


@pytest.mark.browser
@pytest.mark.parametrize("page", CONTENT)
def test_page_in_browser(browser, address, page):
    """Loaded once, on a desktop for every second page and on a phone for the others; then resized and darkened."""
    widths = list(WIDTHS.values())
    if CONTENT.index(page) % 2:
        widths.reverse()
    tab = open_page(browser, address, page, widths[0])
    try:
        for width in widths:
            for scheme in ("light", "dark"):
                look(tab, width, scheme)
        assert tab.locator("mjx-merror, .problematic, .system-message").count() == 0
        text = tab.locator("article").inner_text()
        for markup in ("$$", "\\begin{", "{code-cell}", "```", ":::", "**", "\\tag"):
            body = "\n".join(line for line in text.splitlines() if "**" not in line or markup != "**")
            assert markup not in body, markup
        assert tab.errors == []
        assert tab.foreign == []
    finally:
        tab.context.close()


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
def test_search_finds(browser, address):
    tab = open_page(browser, address, "search.html?q=equivariance")
    tab.wait_for_selector("ul.search li a", timeout=15_000)
    found = tab.locator("ul.search li a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert any("notebooks/01_images_are_arrays" in link for link in found), found
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
