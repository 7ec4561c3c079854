"""The reader's way through: the facts of the chapters, the map, the progress in the browser, paper and PDF.

The tests of the pages need a built site: `make test` builds one and names it in CONVNETS_SITE; on its own,
`_build/html` is used.
"""

import io
import itertools
import json
import os
import re
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader

from tools import course_map, pdf
from tools.course import ROOT

SITE = Path(os.environ.get("CONVNETS_SITE", ROOT / "_build/html"))
KEY = "convnets-from-first-principles"
needs_site = pytest.mark.skipif(
    not (SITE / "book/front/progress.html").is_file() and not os.environ.get("CONVNETS_SITE"),
    reason="no website in _build/html: `make book` builds it",
)


# ---- the facts under the titles ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "least", "most"),
    [
        ("20 seconds", 1 / 3, 1 / 3),
        ("one minute", 1, 1),
        ("half a minute", 0.5, 0.5),
        ("60 to 90 minutes", 60, 90),
        ("two to five minutes", 2, 5),
    ],
)
def test_times_are_read_from_words(words, least, most):
    assert course_map.minutes(words) == pytest.approx((least, most))


@pytest.mark.parametrize(
    "words", ["", "soon", "many minutes", "0 minutes", "90 to 60 minutes", "20 hours a day", "5"]
)
def test_what_is_no_time_is_refused(words):
    with pytest.raises(ValueError, match=re.escape(repr(words))):
        course_map.minutes(words)


def test_the_facts_of_every_chapter_are_right():
    chapters = course_map.course()
    assert len(chapters) == len(list(ROOT.glob("book/chapters/*.md")))
    assert course_map.problems(chapters) == []
    for c in chapters:
        assert 10 <= c.reading[0] <= 180, c.name
        assert c.running[1] <= 10, c.name
        assert 10 <= c.exercise[0] <= c.exercise[1] <= 180, c.name


def test_a_chapter_that_links_to_what_it_needs_names_it_by_its_number():
    """`[chapter 3](03_...ipynb)`: number and address of a link in the line of facts belong together."""
    for c in course_map.course():
        text = (ROOT / f"book/chapters/{c.name}.md").read_text(encoding="utf-8")
        facts = re.search(r"^\*Needs:.*?\*$", text, re.MULTILINE | re.DOTALL)[0]
        links = re.findall(r"\[chapter (\d+)\]\((\d\d)_", facts)
        assert all(int(said) == int(meant) for said, meant in links), c.name


def copy_of_a_chapter(folder, facts, opening="Six tasks, 60 to 90 minutes."):
    for kind, text in (
        ("chapters", f"# 1 · A title\n\n**Question.** Why?\n\n{facts}\n\nText.\n"),
        ("exercises", opening),
    ):
        (folder / "book" / kind).mkdir(parents=True)
        (folder / "book" / kind / "01_x.md").write_text(text, encoding="utf-8")
    return course_map.chapter("01_x", "Part I", folder)


def test_facts_over_two_lines(tmp_path):
    c = copy_of_a_chapter(
        tmp_path,
        "*Needs: section 4.1 of [chapter 4](04_b.ipynb) and chapter 12. Reading: 70\nminutes. Running: one minute on two CPU cores. No GPU.*",
    )
    assert (c.needs, c.reading, c.running, c.exercise) == ((4, 12), (70, 70), (1, 1), (60, 90))


@pytest.mark.parametrize(
    "facts",
    [
        "*Needs: chapter 1. Reading: long. Running: 20 seconds on two CPU cores. No GPU.*",
        "*Needs: chapter 1. Running: 20 seconds on two CPU cores. No GPU.*",
        "*Needs: chapter 1. Reading: 40 minutes. Running: fast on two CPU cores.*",
        "Nothing at all.",
    ],
)
def test_facts_that_say_no_times_are_refused(tmp_path, facts):
    with pytest.raises(ValueError, match=r"long|fast|01_x"):
        copy_of_a_chapter(tmp_path, facts)


def test_an_exercise_without_a_time_is_refused(tmp_path):
    facts = "*Needs: pens. Reading: 40 minutes. Running: 20 seconds on two CPU cores. No GPU.*"
    with pytest.raises(ValueError, match="how many minutes"):
        copy_of_a_chapter(tmp_path, facts, "Six tasks.")


def made(*needs):
    times = ((40, 40), (1, 1), (60, 90))
    return [
        course_map.Chapter(n, f"T{n}", f"{n:02d}_t", "P", tuple(of), *times) for n, of in enumerate(needs, 1)
    ]


def test_chapters_that_do_not_exist_or_come_later_are_noticed():
    assert course_map.problems(made((), (1,), (1, 2))) == []
    assert "does not exist" in course_map.problems(made((), (9,)))[0]
    assert "does not come before" in course_map.problems(made((2,), (1,)))[0]
    assert "its place is 1" in course_map.problems(made((), ())[1:])[0]


def test_steps_leave_out_what_follows_from_others():
    chapters = made((), (1,), (1, 2), (1, 3), (2,))
    assert course_map.all_needed(chapters, 4) == {1, 2, 3}
    assert course_map.steps(chapters) == [(1, 2), (2, 3), (3, 4), (2, 5)]
    whole = course_map.course()
    reached = {c.number: course_map.all_needed(whole, c.number) for c in whole}
    for c in whole:  # the drawing shows everything that a chapter needs, some of it through others
        found, waiting = set(), [c.number]
        while waiting:
            now = waiting.pop()
            before = {start for start, end in course_map.steps(whole) if end == now} - found
            found |= before
            waiting += before
        assert found == reached[c.number]


def test_hours_add_up():
    assert course_map.span((60, 90)) == "60–90\u00a0min"
    assert course_map.span((0.5, 0.5)) == "30\u00a0s"
    assert course_map.hours([(60, 90), (60, 60)]) == "2–2½\u00a0h"
    assert course_map.hours([(40, 40)]) == "½\u00a0h"
    total = sum(c.reading[0] for c in course_map.course()) / 60
    assert f"{course_map.hours([c.reading for c in course_map.course()])}".startswith(
        f"{round(total * 2) // 2}"
    )


def test_the_order_of_the_contents():
    """Chapter, its exercise, the next chapter; what is looked up, and only then the solutions."""
    parts = yaml.safe_load((ROOT / "book/_toc.yml").read_text(encoding="utf-8"))["parts"]
    order = [
        f["file"] for part in parts for entry in part["chapters"] for f in (entry, *entry.get("sections", []))
    ]
    names = [c.name for c in course_map.course()]
    pairs = [name for n in names for name in (f"notebooks/{n}", f"exercises/{n}")]
    assert [name for name in order if name.startswith(("notebooks/", "exercises/"))] == pairs
    assert [name for name in order if name.startswith("solutions/")] == order[-len(names) :]


# ---- on the built site -------------------------------------------------------------------------------------


@needs_site
@pytest.mark.site
class TestSite:
    def soup(self, page):
        return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")

    def next(self, page):
        tag = re.search(r'<a [^>]*class="right-next"[^>]*>', (SITE / page).read_text(encoding="utf-8"))[0]
        return re.search(r'href="([^"]+)"', tag)[1]

    def test_next_leads_from_a_chapter_to_its_exercise_and_on(self):
        names = [c.name for c in course_map.course()]
        walk = [f"{kind}/{name}.html" for name in names for kind in ("notebooks", "exercises")]
        for here, there in itertools.pairwise(walk):
            assert os.path.normpath(os.path.join(os.path.dirname(here), self.next(here))) == there
        assert "solutions/" not in self.next(walk[-1])

    def test_the_map_without_scripts(self):
        page = self.soup("book/front/progress.html")
        rows = page.select(".course-table tr")
        parts = {c.part for c in course_map.course()}
        assert len(rows) == 1 + len(course_map.course()) + len(parts) + 1
        assert not page.select("article button, article input")
        links = page.select(".course-drawing a[data-chapter]")
        assert [(a["data-chapter"], a["href"], a.get_text()) for a in links] == [
            (str(c.number), f"../../notebooks/{c.name}.html", f"{c.number} · {c.title}")
            for c in course_map.course()
        ]
        for c in course_map.course():
            row = next(r for r in rows if r.td and r.td.get_text().startswith(f"{c.number} · "))
            assert [int(a.get_text()) for a in row.find_all("td")[1].find_all("a")] == list(c.needs)
            assert course_map.span(c.reading) in row.get_text()

    def test_the_home_page_lists_every_chapter_with_its_time(self):
        items = self.soup("book/front/home.html").select(".course-chapters li")
        assert len(items) == len(course_map.course())
        for c, item in zip(course_map.course(), items, strict=True):
            assert c.title in item.get_text()
            assert course_map.span(c.reading) in item.get_text()

    def test_scripts_are_small_and_ask_nothing_of_other_hosts(self):
        for name in ("progress.js", "progress-overview.js"):
            text = (ROOT / "book/site" / name).read_text(encoding="utf-8")
            assert len(text.encode()) <= 12_000
            assert not re.search(r"fetch\(|XMLHttp|sendBeacon|https?:|innerHTML", text)


# ---- the progress in the browser ---------------------------------------------------------------------------

HOME, OVERVIEW = "book/front/home.html", "book/front/progress.html"
CHAPTER, EXERCISE = "notebooks/03_convolution_layer.html", "exercises/03_convolution_layer.html"
EMPTY = {"course": KEY, "version": 1, "chapters": {}, "exercises": {}}
SOME = {
    **EMPTY,
    "chapters": {"1": {"read": True}, "3": {"read": False}},
    "exercises": {"1": {"typed": 9.5, "tasks": {}}, "2": {"tasks": {"ex02.a": {"points": 1.5, "of": 3}}}},
    "last": {
        "page": CHAPTER,
        "anchor": "padding",
        "title": "3 · The convolution layer, 3.6 Padding",
        "at": 7,
    },
}


@pytest.fixture(scope="module")
def address():
    with pdf.served(SITE) as address:
        yield address


@pytest.fixture
def visit(browser, address):
    """A function that opens a page of the site, all in one browser profile that is new for each test."""
    contexts = []

    def visit(page, before=None, context=None, **settings):
        if context is None:
            context = contexts[0] if contexts and not settings else browser.new_context(**settings)
        if context not in contexts:
            contexts.append(context)
        tab = context.new_page()
        tab.errors = []
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        if before:
            tab.add_init_script(before)
        tab.goto(address + page, wait_until="load")
        tab.locator("html:not([data-opening])").wait_for(state="attached")  # laid out whole
        return tab

    yield visit
    errors = [error for context in contexts for tab in context.pages for error in tab.errors]
    for context in contexts:
        context.close()
    assert errors == []


# What stands in some cells, and where it begins and ends, of those that show something.
WHERE = """cells => cells.filter(cell => cell.innerText.trim()).map(cell => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    const { left, right } = text.getBoundingClientRect();
    return [cell.innerText, left, right];
})"""


def luminance(color):
    """The relative luminance, as WCAG defines it, of a color such as "rgb(1, 2, 3)"."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def put(state):
    """A script that stores this progress before the page's scripts run, once."""
    value = state if isinstance(state, str) else json.dumps(state)
    return f"localStorage.getItem('put') || (localStorage.setItem({KEY!r}, {json.dumps(value)}), localStorage.setItem('put', 1))"


def stored(tab):
    return json.loads(tab.evaluate(f"localStorage.getItem({KEY!r})"))


def mark(tab, page):
    """What the contents at the side show beside a page."""
    name = page.split("/")[-1]
    links = f"[...document.querySelectorAll('nav.bd-links a')].find(a => a.pathname.endsWith('{page}'))"
    assert name in tab.evaluate(f"({links}).pathname")
    return tab.evaluate(f"({links}).querySelector('.course-mark').textContent")


def give_points(tab, **detail):
    tab.evaluate("d => document.dispatchEvent(new CustomEvent('course:points', {detail: d}))", detail)


@needs_site
@pytest.mark.site
@pytest.mark.browser
class TestProgress:
    def test_nothing_is_stored_or_shown_at_a_first_visit(self, visit):
        tab = visit(HOME)
        assert tab.evaluate(f"localStorage.getItem({KEY!r})") is None
        assert not tab.locator(".course-continue").is_visible()
        assert tab.locator(".course-chapters .course-mark").all_inner_texts() == [""] * len(
            course_map.course()
        )
        assert mark(tab, CHAPTER) == ""

    def test_mark_as_read_by_keyboard_and_back(self, visit):
        tab = visit(CHAPTER)
        ending, button = tab.locator(".course-ending"), tab.locator(".course-ending button")
        assert (
            ending.locator("p").first.inner_text()
            == "This is the end of chapter 3. Next: exercise 3, then chapter 4."
        )
        button.focus()
        tab.keyboard.press("Enter")
        assert (
            ending.locator("[role=status]").first.inner_text()
            == "Chapter 3 read. Next: exercise 3, then chapter 4."
        )
        assert stored(tab)["chapters"] == {"3": {"read": True}}
        assert mark(tab, CHAPTER) == "✓ (read)"
        links = ending.locator("a").evaluate_all("links => links.map(a => a.pathname.slice(1))")
        assert links == [EXERCISE, "notebooks/04_backpropagation.html"]
        tab.keyboard.press("Space")
        assert button.inner_text() == "Mark as read"
        assert mark(tab, CHAPTER) == ""
        tab.wait_for_timeout(2300)  # what the reader took back is not counted again
        assert stored(tab)["chapters"] == {"3": {"read": False}}

    def test_a_chapter_counts_as_read_at_its_end(self, visit):
        tab = visit(CHAPTER)
        tab.wait_for_timeout(200)
        assert tab.evaluate(f"localStorage.getItem({KEY!r})") is None
        tab.locator(".course-ending").scroll_into_view_if_needed()
        tab.wait_for_function(
            f"JSON.parse(localStorage.getItem({KEY!r}) ?? '{{}}').chapters?.[3]?.read", timeout=30_000
        )
        assert mark(tab, CHAPTER) == "✓ (read)"

    def test_points_of_a_check_on_the_page(self, visit):
        tab = visit(EXERCISE)
        status = tab.locator(".course-ending [role=status]").first
        assert status.inner_text() == "Exercise 3: no points yet. Next: chapter 4."
        give_points(tab, exercise="ex03", task="ex03.conv2d", points=1.5, of=2.5)
        give_points(tab, exercise="ex03", task="ex03.conv2d", points=0.5, of=2.5)  # the best counts
        give_points(tab, exercise="ex03", task="ex03.layers", points=2, of=2)
        assert status.inner_text().startswith("Exercise 3: 3.5 of 10 points.")
        assert mark(tab, EXERCISE) == "3.5/10"
        before = stored(tab)
        for wrong in (
            {"points": 3, "of": 2},
            {"points": "2", "of": "2; x"},
            {"points": -1},
            {"task": "__proto__"},
            {"exercise": "none"},
            {"of": 99, "points": 99},
        ):
            give_points(tab, **{"exercise": "ex03", "task": "ex03.bug", "points": 1, "of": 1, **wrong})
        tab.evaluate("document.dispatchEvent(new CustomEvent('course:points'))")
        assert stored(tab) == before

    def test_points_typed_in(self, visit):
        tab = visit(EXERCISE)
        field = tab.get_by_label("Your points")
        field.fill("7.25")
        field.press("Tab")
        assert (
            tab.locator(".course-ending [role=status]")
            .first.inner_text()
            .startswith("Exercise 3: 7.25 of 10")
        )
        field.fill("11")
        field.press("Tab")
        assert stored(tab)["exercises"]["3"]["typed"] == 7.25
        field.fill("")
        field.press("Tab")
        assert stored(tab)["exercises"] == {}
        give_points(tab, exercise="ex03", task="ex03.conv2d", points=2.5, of=2.5)
        assert field.input_value() == "2.5"

    def test_home_shows_the_map_and_where_to_continue(self, visit):
        tab = visit(HOME, put({**SOME, "chapters": {"1": {"read": True}, "3": {"read": True}}}))
        line = tab.locator(".course-continue")
        count = len(course_map.course())
        assert line.inner_text().strip() == (
            "Continue where you left off: 3 · The convolution layer, 3.6 Padding. Next: exercise 3, then chapter 4. "
            f"2 of {count} chapters read, 11 points."
        )
        marks = tab.locator(".course-chapters .course-mark").all_inner_texts()
        assert [m.strip() for m in marks[:4]] == [
            "· read · 9.5 of 10 points",
            "· 1.5 of 10 points",
            "· read",
            "",
        ]
        line.locator("a").first.click()
        tab.wait_for_url(f"**/{CHAPTER}#padding")
        assert tab.locator("#padding").count() == 1

    def test_the_place_is_remembered(self, visit):
        tab = visit(CHAPTER)
        tab.evaluate("document.getElementById('padding').scrollIntoView({behavior: 'instant'})")
        tab.goto(tab.url.split("#")[0].replace(CHAPTER, HOME))
        assert stored(tab)["last"]["anchor"] == "padding"
        assert "3 · The convolution layer, 3.6 Padding." in tab.locator(".course-continue").inner_text()

    def test_the_overview_by_mouse_and_keyboard(self, visit):
        tab = visit(OVERVIEW, put(SOME))
        assert tab.get_by_label("Chapter 1 read", exact=True).is_checked()
        assert not tab.get_by_label("Chapter 3 read", exact=True).is_checked()
        tab.get_by_label("Chapter 3 read", exact=True).click()
        tab.get_by_label("Chapter 2 read", exact=True).focus()
        tab.keyboard.press("Space")
        assert {n for n, c in stored(tab)["chapters"].items() if c["read"]} == {"1", "2", "3"}
        assert tab.locator(".course-drawing .read").count() == 3
        points = tab.get_by_label("Points of exercise 4, of 10")
        points.fill("8")
        points.press("Enter")
        assert stored(tab)["exercises"]["4"]["typed"] == 8
        assert (
            f"3 of {len(course_map.course())} chapters read, 19 points."
            in tab.locator(".course-progress").inner_text()
        )

    def test_export_reset_import(self, visit, tmp_path):
        tab = visit(OVERVIEW, put(SOME))
        with tab.expect_download() as download:
            tab.get_by_role("button", name="Export").click()
        assert re.fullmatch(r"convnets-progress-\d{4}-\d\d-\d\d\.json", download.value.suggested_filename)
        file = tmp_path / "progress.json"
        download.value.save_as(file)
        assert json.loads(file.read_text()) == SOME
        tab.once("dialog", lambda dialog: dialog.dismiss())
        tab.get_by_role("button", name="Reset").click()
        assert stored(tab) == SOME
        tab.once("dialog", lambda dialog: dialog.accept())
        tab.get_by_role("button", name="Reset").click()
        assert stored(tab) == EMPTY
        tab.locator("input[type=file]").set_input_files(file)
        tab.wait_for_function("document.querySelector('.course-progress').innerText.includes('Imported')")
        assert stored(tab) == SOME
        assert (
            "Imported progress.json: 1 chapter read, points in 2 exercises."
            in tab.locator(".course-progress").inner_text()
        )

    def test_an_import_keeps_the_better_and_loses_nothing(self, visit, tmp_path):
        tab = visit(OVERVIEW, put(SOME))
        other = {
            **EMPTY,
            "chapters": {"1": {"read": False}, "3": {"read": True}, "24": {"read": True}},
            "exercises": {
                "1": {"typed": 4, "tasks": {"ex01.a": {"points": 1, "of": 1}}},
                "2": {"tasks": {"ex02.a": {"points": 1, "of": 3}, "ex02.b": {"points": 2, "of": 2}}},
            },
            "last": {"page": EXERCISE, "anchor": "", "title": "Exercise 3", "at": 3},
        }
        file = tmp_path / "other.json"
        file.write_text(json.dumps(other))
        tab.locator("input[type=file]").set_input_files(file)
        tab.wait_for_function("document.querySelector('.course-progress').innerText.includes('Imported')")
        now = stored(tab)
        assert now["chapters"] == {"1": {"read": True}, "3": {"read": True}, "24": {"read": True}}
        assert now["exercises"]["1"] == {"typed": 9.5, "tasks": {"ex01.a": {"points": 1, "of": 1}}}
        assert now["exercises"]["2"]["tasks"] == {
            "ex02.a": {"points": 1.5, "of": 3},
            "ex02.b": {"points": 2, "of": 2},
        }
        assert now["last"] == SOME["last"]

    def test_a_file_that_is_wrong_is_refused_with_the_reason(self, visit, tmp_path):
        tab = visit(OVERVIEW, put(SOME))
        task = {"ex02.a": {"points": 4, "of": 3}}
        wrong = {
            "not JSON": ("{", "It is not JSON"),
            "a list": ([], "does not hold progress of this course"),
            "another": ({**EMPTY, "course": "x"}, "does not hold progress of this course"),
            "newer": ({**EMPTY, "version": 2}, "newer edition"),
            "no version": (
                {"course": KEY, "chapters": {}, "exercises": {}},
                "version is missing, expected 1",
            ),
            "no chapters": ({"course": KEY, "version": 1}, "chapters is missing, expected an object"),
            "name": ({**EMPTY, "chapters": {"constructor": {"read": True}}}, 'has an entry "constructor"'),
            "read": (
                {**EMPTY, "chapters": {"1": {"read": "yes"}}},
                'chapters.1.read is "yes", expected true or false',
            ),
            "typed": (
                {**EMPTY, "exercises": {"1": {"typed": 12}}},
                "exercises.1.typed is 12, expected a number from 0 to 10",
            ),
            "task": (
                {**EMPTY, "exercises": {"2": {"tasks": task}}},
                "ex02.a.points is 4, expected a number from 0 to 3",
            ),
            "place": (
                {**EMPTY, "last": {**SOME["last"], "page": "https://x.org"}},
                "expected a place in the course",
            ),
        }
        for name, (content, reason) in wrong.items():
            file = tmp_path / f"{name}.json"
            file.write_text(content if isinstance(content, str) else json.dumps(content))
            tab.locator("input[type=file]").set_input_files(file)
            tab.wait_for_function(
                f"document.querySelector('.course-progress').innerText.includes('from {name}.json')"
            )
            assert reason in tab.locator(".course-progress").inner_text(), name
            assert stored(tab) == SOME, name

    def test_two_tabs(self, visit):
        first, second = visit(CHAPTER), visit(OVERVIEW)
        first.locator(".course-ending button").click()
        second.wait_for_function("document.querySelector('[aria-label=\"Chapter 3 read\"]').checked")
        second.get_by_label("Points of exercise 3, of 10").fill("6")
        second.keyboard.press("Tab")
        first.locator(".course-ending button").click()
        assert stored(first)["exercises"]["3"]["typed"] == 6
        second.wait_for_function("!document.querySelector('[aria-label=\"Chapter 3 read\"]').checked")

    def test_storage_that_is_blocked(self, visit):
        block = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})"
        tab = visit(CHAPTER, block)
        problem = tab.locator(".course-problem")
        assert problem.count() == 1
        assert "does not let the page store anything" in problem.inner_text()
        tab.locator(".course-ending button").click()
        assert mark(tab, CHAPTER) == "✓ (read)"
        tab.errors.clear()  # the theme does not expect that
        full = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }"
        tab = visit(EXERCISE, full)
        assert not tab.locator(".course-problem").is_visible()
        for points in (1, 2):
            give_points(tab, exercise="ex03", task=f"ex03.t{points}", points=points, of=points)
        assert mark(tab, EXERCISE) == "3/10"
        assert tab.locator(".course-problem").is_visible()
        tab.errors.clear()

    def test_what_cannot_be_read_is_kept_aside(self, visit):
        tab = visit(OVERVIEW, put('{"broken'))
        assert tab.evaluate(f"localStorage.getItem({KEY + '.unreadable'!r})") == '{"broken'
        assert "kept aside" in tab.locator(".course-problem").inner_text()
        tab.get_by_label("Chapter 1 read", exact=True).click()
        assert stored(tab)["chapters"] == {"1": {"read": True}}

    def test_what_a_newer_edition_wrote_stays(self, visit):
        newer = {**EMPTY, "version": 2, "more": 1}
        tab = visit(OVERVIEW, put(newer))
        tab.get_by_label("Chapter 1 read", exact=True).click()
        assert stored(tab) == newer
        assert "newer edition" in tab.locator(".course-problem").inner_text()

    def test_without_scripts_nothing_is_shown(self, browser, visit):
        context = browser.new_context(java_script_enabled=False)
        for page in (HOME, OVERVIEW, CHAPTER):
            tab = visit(page, context=context)
            assert (
                tab.locator(".course-ending, article button:not(.copybtn):visible, .course-mark").count() == 0
            )
            assert not tab.locator(".course-continue").is_visible() if page == HOME else True

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_a_phone_shows_it_without_sideways_scrolling(self, visit, scheme):
        screen = {"viewport": {"width": 375, "height": 800}, "color_scheme": scheme}
        tab = visit(OVERVIEW, put(SOME), **screen)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 375
        sizes = tab.locator(
            ".course-progress button, .course-table label, .course-table input[type=number]"
        ).evaluate_all("all => all.filter(e => e.offsetParent).map(e => [e.offsetWidth, e.offsetHeight])")
        assert min(min(size) for size in sizes) >= 24
        links = tab.locator(".course-drawing a").evaluate_all(
            "all => all.map(a => a.getBoundingClientRect().height)"
        )
        assert min(links) >= 24
        words = tab.locator("div.course-table td").evaluate_all(WHERE)
        assert sum("min" in text for text, *_ in words) >= 2 * len(course_map.course())  # with their times
        assert min(left for _, left, _ in words) >= 0
        assert max(right for *_, right in words) <= 375

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_a_link_can_be_read_while_the_mouse_is_on_its_row(self, visit, scheme):
        tab = visit(OVERVIEW, color_scheme=scheme)
        row = tab.locator("div.course-table tbody tr").nth(2)
        row.locator("td").last.hover()
        tab.wait_for_timeout(300)  # the theme may fade colors in
        behind = row.evaluate("e => getComputedStyle(e).backgroundColor")
        assert behind != tab.evaluate("getComputedStyle(document.body).backgroundColor")
        text = row.locator("a").first.evaluate("e => getComputedStyle(e).color")
        light, dark = sorted((luminance(text), luminance(behind)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5

    def test_the_map_by_keyboard(self, visit):
        tab = visit(OVERVIEW)
        tab.locator(".course-drawing a").first.focus()
        tab.keyboard.press("Tab")
        link = tab.get_by_role("link", name="2 · Convolution, by hand").and_(tab.locator("svg a"))
        frame = link.locator("rect")
        assert link.evaluate("e => e === document.activeElement")
        assert frame.evaluate("e => getComputedStyle(e).stroke") != "none"
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/notebooks/02_convolution_by_hand.html")

    def test_printing_opens_folds_and_hides_what_only_a_screen_can_do(self, visit):
        tab = visit(CHAPTER, color_scheme="dark")
        tab.emulate_media(media="print")
        for selector in (".course-ending", ".bd-sidebar-primary", ".prev-next-footer", ".bd-header-article"):
            assert not tab.locator(selector).first.is_visible(), selector
        fold = tab.locator("article details:not(.hide)").first
        assert fold.locator(":scope > :not(summary)").first.evaluate(
            "e => e.checkVisibility({contentVisibilityAuto: true})"
        )
        pale = tab.evaluate(
            """() => [...document.querySelectorAll('article :is(p, li, td, pre, pre span, h1, h2)')].filter(e => {
                const [r, g, b] = getComputedStyle(e).color.match(/[\\d.]+/g).map(Number);
                return e.textContent.trim() && .2126 * r + .7152 * g + .0722 * b > 130;
            }).length"""
        )
        assert pale == 0
        assert tab.locator("article h1").first.is_visible()


# ---- the PDF -----------------------------------------------------------------------------------------------


def test_the_pages_of_the_pdf():
    contents = yaml.safe_load((ROOT / "book/_toc.yml").read_text(encoding="utf-8"))
    book = [s.name for s in pdf.sheets(contents, False, [])]
    assert {f"{k}/{c.name}" for c in course_map.course() for k in ("notebooks", "exercises")} <= set(book)
    assert not [name for name in book if name.startswith("solutions/")]
    assert len(pdf.sheets(contents, True, [])) == len(book) + len(course_map.course())
    assert [s.name for s in pdf.sheets(contents, False, ["03_"])] == [CHAPTER[:-5], EXERCISE[:-5]]
    with pytest.raises(ValueError, match="words is"):
        pdf.sheets(contents, False, ["no such page"])


@needs_site
@pytest.mark.site
@pytest.mark.browser
@pytest.mark.slow
def test_the_pdf_of_two_chapters(browser):
    contents = yaml.safe_load((ROOT / "book/_toc.yml").read_text(encoding="utf-8"))
    book = pdf.sheets(contents, False, ["notebooks/12", "notebooks/13"])
    file = io.BytesIO()
    pdf.print_book(browser, SITE, book).write(file)
    read = PdfReader(file)
    pages = [page.extract_text() for page in read.pages]
    assert len(pages) == book[-1].first - 1 + len(book[-1].pdf.pages)
    assert "Contents" in pages[1]
    for sheet in book:
        assert sheet.title in " ".join(pages[sheet.first - 1].split())
        assert re.search(rf"\b{sheet.first}\s*$", pages[1], re.MULTILINE)
        assert re.search(rf"^{sheet.first}$", pages[sheet.first - 1], re.MULTILINE)  # at the foot
    parts = read.outline
    assert parts[0].title.startswith("Part III · ")
    titles = [item.title for item in parts[1] if not isinstance(item, list)]
    assert titles == [sheet.title for sheet in book]
    assert len(parts[1][1]) > 5  # the sections of chapter 12
    links = [a.get_object() for page in read.pages for a in page.get("/Annots", [])]
    addresses = [str(a["/A"]["/URI"]) for a in links if "/A" in a and "/URI" in a["/A"]]
    assert addresses
    assert not [address for address in addresses if "127.0.0.1" in address]
    inside = [a["/Dest"][0].get_object() for a in links if "/Dest" in a]
    assert len(inside) > len(book)
    contents = [a.get_object()["/Dest"][0].idnum for a in read.pages[1]["/Annots"]]
    assert contents == [read.pages[sheet.first - 1].indirect_reference.idnum for sheet in book]
    assert all(place["/Type"] == "/Page" for place in inside)
    assert len(file.getvalue()) < 8_000_000
