"""Chromium without a window, for tests that use pages as a person does."""

import importlib.util
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

FAILURES = Path(__file__).resolve().parents[2] / "build" / "browser"
SECONDS = 90  # that a page may take, on a machine with other work
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
)


@contextmanager
def chromium(width: int = 1280, height: int = 860, dark: bool = False) -> Iterator[WebDriver]:
    """Chromium with a viewport and a colour scheme while the body runs. Motion is reduced.

    Debian's packages `chromium` and `chromium-driver` must be installed; otherwise the test is skipped.
    """
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        named = [{"name": name, "value": value} for name, value in features.items()]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})
        yield browser
    except Exception:
        keep_failure(browser)
        raise
    finally:
        browser.quit()


def keep_failure(browser: WebDriver) -> None:
    """Keep what a failed test saw: a screenshot, and the messages of the browser and of its network."""
    FAILURES.mkdir(parents=True, exist_ok=True)
    path = FAILURES / f"{time.strftime('%H%M%S')}-{browser.session_id}.png"
    browser.get_screenshot_as_file(str(path))
    messages = {kind: browser.get_log(kind) for kind in ("browser", "performance")}
    path.with_suffix(".json").write_text(json.dumps({"url": browser.current_url, **messages}, indent=1))
    print(f"what the browser showed is in {path}")


def until(browser: WebDriver, script: str, seconds: float = SECONDS):
    """The value of a JavaScript expression once it is truthy."""
    return WebDriverWait(browser, seconds, 0.1).until(lambda one: one.execute_script(f"return {script}"), script)


def network(browser: WebDriver) -> tuple[list[str], int]:
    """The addresses that were requested since the last call, and the bytes that came over the network."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    bytes_ = [one["params"]["encodedDataLength"] for one in messages if one["method"] == "Network.loadingFinished"]
    return asked, int(sum(bytes_))


def click(browser: WebDriver, selector: str) -> None:
    """Click an element as a person does, once it can be clicked."""
    use(browser, selector, lambda element: element.click())


def press(browser: WebDriver, selector: str) -> None:
    """Give an element the focus, once it can have it, and press Enter."""
    use(browser, selector, lambda element: element.send_keys(Keys.ENTER))


def use(browser: WebDriver, selector: str, act: Callable[[WebElement], None]) -> None:
    """Do something with an element, once it is there and not disabled."""

    def used(browser: WebDriver) -> bool:
        until(browser, f"document.querySelector(`{selector}`) && !document.querySelector(`{selector}`).disabled")
        element = browser.find_element(By.CSS_SELECTOR, selector)
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        act(element)
        return True

    # A page that the models had no part in is replaced once they are back.
    WebDriverWait(browser, SECONDS, 0.1, [StaleElementReferenceException]).until(used)


def violations(browser: WebDriver, place: str) -> list[tuple]:
    """What axe-core finds on the page against level A and AA: the place, the rule, and the first element."""
    found = importlib.util.find_spec("axe_core_python")
    if found is None or found.origin is None:
        pytest.skip("axe-core-python is not installed")
    axe = Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    browser.execute_script(f"if (!window.axe) {{ {axe} }}")
    tags = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}"
    broken = browser.execute_async_script(
        f"const done = arguments[0]; axe.run(document, {tags}).then(r => done(r.violations), e => done([String(e)]))"
    )
    return [(place, one if isinstance(one, str) else (one["id"], one["nodes"][0]["html"])) for one in broken]


def check_quiet(browser: WebDriver, base: str) -> None:
    """Check that a page asked nobody but `base`, and logged no error but of a request that was refused."""
    asked, _ = network(browser)
    assert not [url for url in asked if not url.startswith((base, "data:"))]
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [text for text in errors if "Failed to load resource" not in text]
