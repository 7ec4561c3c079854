"""What several test files share: their order, a browser, and a page with one interactive figure."""

import sys

import pytest

from tests.browser import FLAGS, REQUIRED, find_browser


def pytest_collection_modifyitems(items):
    """Files with slow tests come first: processes that share the work then end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    if "torch" in sys.modules:  # a file without PyTorch need not wait for it
        from tests import meta_kernels

        meta_kernels.install()


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium or Chrome; the tests are skipped where there is none, unless it is required."""
    program = find_browser()
    if not program:
        if REQUIRED:
            pytest.fail("CONVNETS_REQUIRE_BROWSER is set, but no Chromium or Chrome was found")
        pytest.skip("no Chromium or Chrome on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def show(browser):
    """A function that shows a figure on an empty page and gives the tab and the figure in it.

    At the end of the test no tab may have had an error: nothing thrown, and no error in the console.
    """
    contexts, tabs = [], []

    def show(figure, width=900, **settings):
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        tab = context.new_page()
        tabs.append(tab)
        tab.errors = []
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.on("console", lambda m: tab.errors.append(m.text) if m.type == "error" else None)
        tab.set_content(
            "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            + figure._repr_mimebundle_()[0]["text/html"]
        )
        return tab, tab.locator(figure.name)

    yield show
    for context in contexts:
        context.close()
    assert [error for tab in tabs for error in tab.errors] == []
