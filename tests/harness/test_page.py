"""The page: its data and its security policy, and in a browser its filters, sorting, keyboard and address.

The browser tests run where playwright and a Chromium are installed: ``pip install playwright``, and the system's
package ``chromium`` or ``playwright install chromium``.
"""

import json
import re
import shutil
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from factories import ARCHITECTURES, MULTI_TOKEN, TASKS, Run, made_run

from harness.report.page.encoding import safe_json
from harness.report.results import Results
from harness.report.write import write_report

HOSTILE = "</script><script>window.hostile = true</script><img src=x onerror='window.hostile = true'>"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def hostile_run() -> Run:
    """Return a run in which names, reasons, notes and descriptions try to be HTML."""
    cells, scores, meta = made_run(("lstm", "mamba"), ("parity", "reverse"))
    renamed = {"mamba": f"mamba{'a' * 200}{HOSTILE}"}
    cells = cells.assign(architecture=cells.architecture.replace(renamed), task=cells.task.replace("reverse", HOSTILE))
    cells = cells.assign(reason=cells.reason.where(cells.reason == "", HOSTILE))
    texts = {"title": HOSTILE, "description": HOSTILE, "notes": [HOSTILE], "git": HOSTILE, "command": [HOSTILE]}
    order = [renamed.get(name, name) for name in meta.catalog_order]
    return cells, scores, replace(meta, catalog_order=order, tasks_order=(), recipes={}, inspections=(), **texts)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cells, scores, meta = made_run(seeds=5)
    families = {task: "strings" if task in MULTI_TOKEN else "regular" for task in TASKS}
    meta = replace(meta, task_families=families)
    return write_report(Results.of(cells, scores, meta), tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(Results.of(*hostile_run()), tmp_path_factory.mktemp("hostile"))


def data_of(text: str) -> dict[str, Any]:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])  # type: ignore[index]


def test_the_page_needs_nothing_from_outside(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    head, _, scripts = text.partition('<script type="application/json"')
    assert not re.search(r"<(link|img|iframe)\b|url\((?!#)|@import", head)
    assert {link for link in re.findall(r'\b(?:href|src)="([^"]*)"', head) if link[0] != "#"} == {"http://x.org/x.png"}
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', head)[1])  # type: ignore[index]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for script in re.findall(r"<script>(.*?)</script>", scripts, re.S):
        assert b64encode(sha256(script.encode()).digest()).decode() in policy


def test_the_data_have_every_score_and_every_text(report: Path) -> None:
    results, text = Results.of(*made_run(seeds=5)), report.read_text(encoding="utf-8")
    data = data_of(text)
    assert data["architectures"]["name"] == results.architectures
    assert len(data["pairs"]["a"]) == len(results.architectures) * len(results.task_results)
    problems = json.dumps(data["tables"]["problems"])
    assert "loss is not finite at step 312 <b>&" in problems
    assert "it would read the answer" in problems
    for words in ("lengthwise run made-up.toml", "torch 2.13.0", "not complete", "never by these scores"):
        assert words in text


def test_the_size_grows_slowly(tmp_path: Path) -> None:
    """Twice as many seeds add less than their number: the library, the texts and the tables stay."""
    sizes = []
    for seeds in (5, 10):
        many = made_run(ARCHITECTURES, ("parity", "reverse"), seeds, (0.001,), (1000,))
        sizes.append(write_report(Results.of(*many), tmp_path / str(seeds)).stat().st_size)
    assert sizes[1] - sizes[0] < 10 * 1024 * len(ARCHITECTURES)
    assert sizes[0] < 1024**2


def test_a_single_learning_rate_is_not_explained_as_a_choice(tmp_path: Path) -> None:
    run = made_run(("lstm",), ("parity",), 1, (0.001,), (1000,))
    text = write_report(Results.of(*run), tmp_path).read_text(encoding="utf-8")
    assert "which chooses the rate" not in text.partition('<script type="application/json"')[0]


def test_json_cannot_end_its_element() -> None:
    assert not set("<>&\u2028") & set(safe_json({"text": "</script>&\u2028", "number": float("nan")}))
    assert json.loads(safe_json({"</a>": [1.5, None, float("inf")]})) == {"</a>": [1.5, None, None]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a headless browser; skip without one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as driver:
        if path is None and not Path(driver.chromium.executable_path).is_file():
            pytest.skip("no Chromium is installed")
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page in the browser, with what it wrote to the console and what it requested."""

    def __init__(self, browser: Any, path: Path, hash_: str = "", **options: Any) -> None:
        self.page = browser.new_page(**{"viewport": {"width": 1400, "height": 900}} | options)
        self.page.set_default_timeout(5000)
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"file://{path}{hash_}")
        self.page.wait_for_selector("html[data-ready]")

    def names(self) -> list[str]:
        """Return the architectures of the matrix from top to bottom."""
        return self.page.locator("table.matrix tbody th").all_inner_texts()

    def cell(self, architecture: str, task: int) -> Any:
        """Return a cell of the matrix; tasks are counted from 0."""
        row = self.page.locator("table.matrix tbody tr", has=self.page.get_by_text(architecture, exact=True))
        return row.locator("td").nth(task)

    def scroll_through(self) -> None:
        """Bring every plot into view, because plots are drawn when they are."""
        height = self.page.evaluate("document.documentElement.scrollHeight")
        for top in range(0, height, 800):
            self.page.evaluate(f"window.scrollTo(0, {top})")
            self.page.wait_for_timeout(20)


def test_a_reader_can_sort_filter_and_switch_the_measure(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    page, every = opened.page, opened.names()
    page.locator("button.sort", has_text="parity").click()
    best = opened.names()
    assert sorted(best) == sorted(every)
    page.locator("button.sort", has_text="parity").click()
    assert opened.names() != best
    page.get_by_label("Measure").select_option("scaled")
    assert "0." in opened.cell("lstm", 0).inner_text() or "1.00" in opened.cell("lstm", 0).inner_text()
    page.get_by_label("Architectures", exact=True).fill("transformer")
    assert opened.names() == [name for name in opened.names() if "transformer" in name]
    again = Opened(browser, report, "#" + page.url.partition("#")[2])
    assert again.names() == opened.names()
    page.get_by_role("button", name="Reset").click()
    assert opened.names() == every
    assert page.locator("tr.families th").all_inner_texts() == ["regular", "strings"]
    assert opened.messages == again.messages == []


def test_a_link_leads_to_a_heading_below_the_controls(browser: Any, report: Path) -> None:
    page = Opened(browser, report).page
    page.get_by_role("link", name="Cost", exact=True).click()
    top, bar = (page.locator(name).bounding_box() for name in ("#cost h2", "#controls .bar"))
    assert top["y"] >= bar["y"] + bar["height"]
    assert "at=cost" in page.url


def test_seeds_show_on_hover_and_with_the_keyboard(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    page, tip = opened.page, opened.page.locator("#tip")
    opened.cell("lstm", 0).scroll_into_view_if_needed()
    page.wait_for_timeout(50)  # scrolling hides the tooltip
    opened.cell("lstm", 0).hover()
    assert tip.is_visible()
    assert tip.locator("tbody tr").count() == 5
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    page.locator("table.matrix td[tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert tip.is_visible()
    page.keyboard.press("Enter")
    assert "lengthwise run -a " in page.locator("section#pair").inner_text()
    assert "pair=" in page.url


def test_any_two_architectures_are_shown_side_by_side(browser: Any, report: Path) -> None:
    opened = Opened(browser, report)
    section = opened.page.locator("section#two")
    section.get_by_label("Second").select_option("mamba")
    assert "two=lstm&two=mamba" in opened.page.url
    assert "p = 0." in section.locator(".verdict").inner_text()
    assert "mamba 0." in section.inner_text()
    opened.page.locator("section#compare .plot").scroll_into_view_if_needed()
    opened.page.locator("section#compare .plot svg").wait_for()
    assert opened.messages == []


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_every_view_is_drawn_without_errors_requests_or_sideways_scrolling(
    browser: Any, report: Path, width: int, scheme: str
) -> None:
    opened = Opened(browser, report, viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened.scroll_through()
    assert opened.messages == []
    assert opened.requests == [f"file://{report}"]
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    views = opened.page.locator("[data-view]:not([data-view=pair])")
    for view in views.all():  # a busy machine may draw later than the page was scrolled
        view.scroll_into_view_if_needed()
        view.locator("svg, table").first.wait_for(state="attached")
    opened.page.emulate_media(media="print")  # on paper a header that stays in view would cover rows
    positions = "all => all.filter(cell => getComputedStyle(cell).position !== 'static').length"
    assert opened.page.locator("table th, table td").evaluate_all(positions) == 0


def test_the_names_of_many_lines_stay_within_their_plot(browser: Any, tmp_path: Path) -> None:
    many = tuple(f"lstm:width={width}" for width in range(30))
    opened = Opened(browser, write_report(Results.of(*made_run(many, ("parity",), 1, (0.001,), (1000,))), tmp_path))
    opened.scroll_through()
    plot = opened.page.locator("section#lengths svg[role=img]").first
    plot.wait_for()
    bottoms = plot.evaluate("svg => [svg, ...svg.querySelectorAll('text')].map(e => e.getBoundingClientRect().bottom)")
    assert max(bottoms) < bottoms[0] + 1
    names = plot.locator("text").all_text_contents()
    shown = [name for name in names if name.startswith("lstm")]
    assert 5 < len(shown) < 30
    assert f"and {30 - len(shown)} more" in names


def test_no_text_of_a_record_runs(browser: Any, hostile: Path) -> None:
    opened = Opened(browser, hostile)
    opened.scroll_through()
    opened.page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    assert opened.page.evaluate("window.hostile") is None
    assert opened.messages == []
    assert any("onerror" in name for name in opened.names())
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 1400  # its name is 280 letters long
