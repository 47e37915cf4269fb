"""`nlp-gym demo` in a real browser: headless Chromium, driven by Selenium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import LocalServer, tiny_run

from nlp_gym_agents.serve.served import load_runs

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None or DRIVER is None,
        reason="no Chromium with its driver: apt-get install chromium chromium-driver",
    ),
]
HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> "
HOSTILE += "\x1b[31mred \u202eabc \x00 Ann </textarea><h1>Heading</h1> {{ 7 * 7 }}"
WAIT_S = 30
WITHOUT_LABELS = """
const copy = arguments[0].cloneNode(true);
for (const label of copy.querySelectorAll("small")) {
  label.previousSibling.remove();  // the blank before it
  label.remove();
}
return copy.textContent;
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("browser")
    tagger = tiny_run(folder / "tagger")
    reader = tiny_run(folder / "reader", "SpanQA-SQuAD-v0")
    runs = load_runs([tagger, tagger, reader])
    server = LocalServer(runs, demo=True, feedback=True, learns=True)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver: Any, demo: LocalServer) -> Iterator[Any]:
    """The first page, in a window of 1,100 by 900; afterwards the console has no message."""
    resize(driver, 1100, 900)
    driver.get_log("browser")
    driver.get(demo.url)
    yield driver
    assert [entry["message"] for entry in driver.get_log("browser")] == []


def resize(driver: Any, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def find(driver: Any, selector: str) -> Any:
    """The first element, waited for."""
    from selenium.webdriver.support.ui import WebDriverWait

    found = WebDriverWait(driver, WAIT_S).until(lambda d: d.find_elements("css selector", selector))
    return found[0]


def wait(driver: Any, condition: str) -> None:
    """Wait until an expression of JavaScript is true."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, WAIT_S).until(lambda d: d.execute_script(f"return !!({condition})"))


def press(driver: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver).send_keys(*keys).perform()


def tab_to(driver: Any, name: str) -> None:
    """Press Tab until an element of that id, or a link with that text, has the focus."""
    from selenium.webdriver.common.keys import Keys

    for _ in range(100):
        press(driver, Keys.TAB)
        active = driver.switch_to.active_element
        if name in (active.get_attribute("id"), active.text):
            assert active.value_of_css_property("outline-style") != "none"  # it is seen
            return
    raise AssertionError(f"Tab never comes to {name}")


def test_browser_a_text_is_typed_and_its_entities_are_coloured(page: Any) -> None:
    box = find(page, "#f-text")
    box.clear()
    text = "Ann Lee of Acme Corp. met Bob in Oslo on Monday and flew to the United Nations."
    box.send_keys(text)
    find(page, "#decide").click()
    find(page, "article.run .text mark")
    marks = page.find_elements("css selector", "article.run .text mark")
    colours = {mark.value_of_css_property("background-color") for mark in marks}
    assert "rgba(0, 0, 0, 0)" not in colours
    assert all(mark.find_element("tag name", "small").text for mark in marks)
    assert len(page.find_elements("css selector", "article.run")) == 2
    assert find(page, "#f-text").get_attribute("value") == text
    assert page.switch_to.active_element.get_attribute("id") == "focus"
    assert "2 decision" in find(page, "#said").get_attribute("textContent")
    assert find(page, "article.run .nlp-traces").is_displayed()


def test_browser_everything_is_done_by_keyboard(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    tab_to(page, "Skip to the content")
    tab_to(page, "f-text")
    press(page, " Ann sings.")
    tab_to(page, "decide")
    press(page, Keys.ENTER)
    find(page, "article.run")
    page.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    page.get(page.current_url)
    tab_to(page, "Play by hand")
    press(page, Keys.ENTER)
    find(page, "#start")
    tab_to(page, "start")
    press(page, Keys.ENTER)
    find(page, "#agent")
    tab_to(page, "a-0")
    for step in range(1, 100):  # the same button keeps the focus while it is legal
        press(page, Keys.ENTER)
        wait(page, f"document.getElementById('step')?.textContent == '{step}'")
        assert float(find(page, "#latest").text) is not None
        if page.find_elements("css selector", "#over"):
            break
        assert page.switch_to.active_element.get_attribute("id") == "a-0"
    assert find(page, "#score").text
    assert "over" in find(page, "#said").get_attribute("textContent")


def test_browser_hints_are_there_when_asked_for(page: Any, demo: LocalServer) -> None:
    page.get(f"{demo.url}/play?run=tagger")
    find(page, "#start").click()
    hint = find(page, "#hint")
    assert not hint.find_element("tag name", "strong").is_displayed()
    hint.find_element("tag name", "summary").click()
    wanted = hint.find_element("tag name", "strong").text
    buttons = page.find_elements("css selector", ".actions button")
    next(button for button in buttons if button.text == wanted).click()
    wait(page, "document.getElementById('step')?.textContent == '1'")
    assert float(find(page, "#latest").text) == 1.0  # the oracle was right
    assert find(page, "#hint").find_element("tag name", "strong").is_displayed()  # it stays open
    find(page, "#rest").click()
    find(page, "#over")


def test_browser_many_actions_are_searched_as_one_types(page: Any, demo: LocalServer) -> None:
    page.get(f"{demo.url}/play?run=reader")
    find(page, "#start").click()
    box = find(page, "#q")
    first = page.find_elements("css selector", ".actions button")[0].text
    box.send_keys(first)
    wait(page, "document.querySelectorAll('.actions button').length < 10")
    names = [b.text for b in page.find_elements("css selector", ".actions button")]
    assert first in names
    assert page.switch_to.active_element.get_attribute("id") == "q"
    assert find(page, "#q").get_attribute("value") == first


def test_browser_hostile_text_does_nothing(page: Any) -> None:
    for finds in (False, True):
        page.execute_script("arguments[0].value = arguments[1]", find(page, "#f-text"), HOSTILE)
        if finds:
            find(page, "input[name=relevance]").click()
        page.execute_script("document.querySelectorAll('article.run').forEach((e) => e.remove())")
        find(page, "#decide").click()
        find(page, "article.run")
        assert page.title == "A text - nlp_gym"
        assert len(page.find_elements("css selector", "script")) == 1
        assert not page.find_elements("css selector", "img, main h1 ~ h1")
        shown = page.execute_script(WITHOUT_LABELS, find(page, "article.run .text"))
        assert "<script>document.title='taken'</script><img src=x" in shown
        assert "\\x1b[31mred \\u202eabc \\x00 Ann </textarea>" in shown
        assert "{{ 7 * 7 }}" in shown


def test_browser_a_decision_is_rated_corrected_and_learned_from(page: Any) -> None:
    from selenium.webdriver.support.ui import Select

    def said() -> str:
        notice = find(page, "#notice")
        text = str(notice.text)
        page.execute_script("arguments[0].remove()", notice)
        return text

    box = find(page, "#f-text")
    box.clear()
    box.send_keys("Ann sings.")
    find(page, "#decide").click()
    find(page, "article.run")
    assert len(page.find_elements("css selector", "article.run")) == 2
    find(page, "article.run button[value=wrong]").click()
    assert "That it is wrong is kept: 0 correction(s) and 1 rating(s)." in said()
    assert "wrong is kept" in find(page, "#said").get_attribute("textContent")
    find(page, "#correct-1 summary").click()
    for number, label in enumerate(["B-PER", "O", "O"], 1):
        Select(find(page, f"#answer-1-{number}")).select_by_value(label)
    find(page, "#correct-1 button[value=correct]").click()
    assert "Your answer is kept: 1 correction(s) and 1 rating(s)." in said()
    assert find(page, "#correct-1").get_attribute("open")  # it stays open
    assert "1 correction(s)" in find(page, "#kept-1").text
    find(page, "form[action=learn] button").click()
    assert "tagger-learned_1: learned from 1 correction(s)" in said()
    find(page, "form[action=revert] button").click()
    assert "tagger decides again." in said()
    assert not page.find_elements("css selector", "form[action=revert]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browser_pages_fit_narrow_screens(page: Any, demo: LocalServer, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    resize(page, 340, 700)
    page.get(demo.url)
    find(page, "#decide").click()
    find(page, "article.run")
    assert page.execute_script("return document.documentElement.scrollWidth") <= 340
    ink = page.execute_script("return getComputedStyle(document.body).color")
    assert (ink == "rgb(27, 31, 36)") == (scheme == "light")
    for run in ("tagger", "reader"):
        page.get(f"{demo.url}/play?run={run}")
        find(page, "#start").click()
        find(page, "#agent")
        assert page.execute_script("return document.documentElement.scrollWidth") <= 340


def test_browser_what_can_be_pressed_has_a_name(page: Any) -> None:
    for path in ("", "?form=spanqa", "play"):
        page.get(page.current_url.rpartition("/")[0] + "/" + path)
        named = "a, button, input:not([type=hidden]), textarea, select, summary"
        elements = page.find_elements("css selector", named)
        assert len(elements) > 3
        assert all(element.accessible_name for element in elements)
        boxes = [e.rect for e in page.find_elements("css selector", "button")]
        assert all(box["height"] >= 24 and box["width"] >= 24 for box in boxes)


def test_browser_forms_work_without_a_script(page: Any, demo: LocalServer) -> None:
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.get(demo.url)
        find(page, "#f-text").send_keys(" Bob sings.")
        find(page, "#decide").click()
        find(page, "article.run")
        page.get(f"{demo.url}/play")
        find(page, "#start").click()
        find(page, "#rest").click()
        assert find(page, "#over").is_displayed()
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
