"""Chromium without a window, for tests that use pages as a person does."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 30  # that a page may take, on a machine with other work
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
    finally:
        browser.quit()


def until(browser: WebDriver, script: str, seconds: float = SECONDS):
    """The value of a JavaScript expression once it is truthy."""
    return WebDriverWait(browser, seconds, 0.1).until(lambda one: one.execute_script(f"return {script}"), script)


def network(browser: WebDriver) -> tuple[list[str], int]:
    """The addresses that were requested since the last call, and the bytes that came over the network."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    bytes_ = [one["params"]["encodedDataLength"] for one in messages if one["method"] == "Network.loadingFinished"]
    return asked, int(sum(bytes_))
