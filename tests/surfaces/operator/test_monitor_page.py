"""The loop over time in Chromium, on a home of reports without models: the drawing, its numbers, and axe."""

import signal

import pytest
from selenium.webdriver.common.by import By

from monitoring.rules import Rules
from pipelines.run_state import state
from segue.settings import Home
from stores.servers import free_ports
from tests.support.browser import check_quiet, chromium, until, violations
from tests.support.loops import leave_run
from tests.support.processes import Running
from tests.support.reports import day, leave_report, report
from workloads.monitoring.decide import step

pytestmark = pytest.mark.slow

FAILED = {3: ("volume", "outage"), 6: ("skip_rate", "behaviour"), 7: ("skip_rate", "behaviour")}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of the operator's page of a home with eight windows: an outage, and then a change."""
    home = Home(tmp_path_factory.mktemp("monitor") / "home")
    leave_run(home, "training-20260227T000000", {"push": {"version": 1}})
    for number in range(1, 9):
        failed, cause = FAILED.get(number, (None, None))
        leave_report(home, report(number, *([failed] if failed else []), cause=cause))
        step(home, Rules(), day(number), state)
    running = Running(home.root, ["up", "--port", str(free_ports(1)[0])], r"operator +(\S+)").wait()
    yield running.address
    assert running.end(signal.SIGINT) == 0


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_every_window_is_drawn_with_what_was_decided(page, width, dark):
    with chromium(width, 844, dark) as browser:
        browser.get(f"{page}#monitor")
        until(browser, "document.querySelectorAll('.timeline circle').length == 40")  # 5 checks, 8 windows
        assert browser.execute_script("return document.querySelectorAll('.timeline circle.warn').length") == 3
        assert browser.execute_script("return document.querySelectorAll('.timeline .limit').length") == 5
        words = [each.text for each in browser.find_elements(By.CSS_SELECTOR, ".timeline text.held, text.trained")]
        assert words == ["hold", "retrain"]
        # An effect of twice its limit is drawn twice as high as the limit.
        above = "const [one] = document.querySelectorAll('.timeline circle.warn'), lane = one.parentNode;"
        floor, limit = (
            f"+lane.querySelector('{name}').getAttribute('d').split(/[ H]/)[1]" for name in (".grid", ".limit")
        )
        ratio = browser.execute_script(f"{above} return ({floor} - one.getAttribute('cy')) / ({floor} - {limit})")
        assert ratio == pytest.approx(2, abs=0.02)
        text = browser.find_element(By.TAG_NAME, "main").text
        assert "skip_rate failed in 2 windows in a row. skip_rate changed." in text
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert violations(browser, "monitor") == []
        check_quiet(browser, page.removesuffix("operator/"))
