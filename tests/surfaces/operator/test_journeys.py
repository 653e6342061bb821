"""The operator's page in Chromium, as `segue up` serves it: journeys, parts that die, an empty home, axe, budgets."""

import shutil
import signal
from contextlib import contextmanager

import psutil
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from segue.files import write_json, write_text
from segue.settings import Home
from serving.store import model_store
from serving.store.versions import CHECKSUMS
from stores.servers import free_ports
from tests.support.browser import check_quiet, chromium, click, until, violations
from tests.support.loops import COMPARED, drift_verdict, leave_run
from tests.support.processes import Running
from tests.surfaces.player.budget import PAGE_BYTES, operator_budget, player_budget
from workloads.operating.decisions import decisions

pytestmark = pytest.mark.slow

PAGES = ("loop", "runs", "models", "monitor", "drift", "experiments", "traffic")


@pytest.fixture(scope="module")
def home(trained, tmp_path_factory) -> Home:
    """A copy of the trained home with a canary, and a drift verdict with Evidently's page."""
    home = Home(tmp_path_factory.mktemp("operator") / "home")
    shutil.copytree(trained.home.root, home.root, ignore=shutil.ignore_patterns(".lock", "checkpoints"))
    stable = model_store.stable(home.models)
    copies = {
        model: shutil.copytree(folder, home.root / "again" / model, ignore=shutil.ignore_patterns(CHECKSUMS))
        for model, folder in stable.items()
    }
    model_store.push(home.models, copies, label="canary")
    leave_run(home, COMPARED, {"detect-drift": drift_verdict(share=0.4)})
    write_json(home.drift_verdict, drift_verdict(share=0.4))
    page = "<h1>report</h1><script>document.body.append(typeof fetch, document.cookie === '')</script>"
    write_text(home.drift_page, page)
    return home


@pytest.fixture(scope="module")
def up(home):
    """`segue up`; its address ends in `/operator/`."""
    running = Running(home.root, ["up", "--port", str(free_ports(1)[0])], r"operator +(\S+)").wait()
    yield running
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert running.end(signal.SIGINT) == 0
    assert not [child for child in children if child.is_running()]


@pytest.fixture
def visit(up):
    """Open the operator's page: `with visit(390, dark=True) as browser`."""

    @contextmanager
    def opened(width=1280, dark=False, running=up):
        with chromium(width, 844, dark) as browser:
            browser.get(running.address)
            until(browser, "document.querySelector('.loop .box')")
            yield browser
            check_quiet(browser, running.address.removesuffix("operator/"))

    return opened


def go(browser, page):
    """Open a page by its place in the address."""
    browser.execute_script(f"location.hash = '{page}'")
    until(browser, "document.querySelector('main h1') && !document.querySelector('main [aria-busy]')")


def decide(browser, label, why):
    """Press a button and give a reason."""
    click(browser, f"button[data-key='{label}']")
    browser.switch_to.active_element.send_keys(why)
    click(browser, "dialog [type=submit]")
    until(browser, "!document.querySelector('dialog')")


def stable(browser):
    """The stable version that the page shows."""
    return until(browser, "document.querySelector('.entry .mark.good')?.textContent")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_from_the_loop_to_a_run_then_promote_and_roll_back(visit, home, width, dark):
    if model_store.labels(home.models)["ranking"]["canary"] != 2:
        model_store.promote(home.models, 2, "canary")
    with visit(width, dark) as browser:
        assert browser.execute_script("return document.querySelectorAll('.loop .box').length") == 8
        assert "canary" in browser.find_element(By.CSS_SELECTOR, ".attention").text
        browser.execute_script("document.querySelector(\".box[href^='#run/training']\").focus()")
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        until(browser, "document.querySelectorAll('main tbody tr').length > 10")
        text = browser.find_element(By.TAG_NAME, "main").text
        assert {"Ranking on held-out time", "Data validation (TFDV)", "Reports"} <= set(text.splitlines())
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")

        go(browser, "models")
        assert stable(browser) == "stable 1"
        decide(browser, "Promote the canary", "better\nskips <b>")
        until(browser, "document.querySelector('.entry .mark.good').textContent == 'stable 2'")
        decide(browser, "Roll back", "it was worse")
        until(browser, "document.querySelector('.entry .mark.good').textContent == 'stable 1'")
        assert [one["why"] for one in decisions(home)[:2]] == ["it was worse", "better skips <b>"]

        go(browser, "model/ranking")
        assert "better skips <b>" in browser.find_element(By.TAG_NAME, "main").text
        assert browser.execute_script("return document.querySelectorAll('.chart circle').length") >= 2
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_a_decision_without_a_reason_is_not_made(visit, home):
    before = len(decisions(home))
    with visit() as browser:
        go(browser, "models")
        click(browser, "button[data-key='Roll back']")
        browser.switch_to.active_element.send_keys("   ")
        click(browser, "dialog [type=submit]")
        until(browser, "document.querySelector('.problem').textContent == 'Give a reason.'")
        browser.switch_to.active_element.send_keys(Keys.ESCAPE)
        until(browser, "!document.querySelector('dialog')")
        assert browser.execute_script("return document.activeElement.dataset.key") == "Roll back"
    assert len(decisions(home)) == before


def test_a_report_is_shown_in_a_sandbox(visit):
    with visit() as browser:
        go(browser, "drift")
        click(browser, ".report button")
        frame = browser.find_element(By.CSS_SELECTOR, "iframe")
        assert frame.get_attribute("sandbox") == "allow-scripts"
        assert browser.execute_script("return document.querySelectorAll('.scroll tbody tr').length") == 3
        browser.switch_to.frame(frame)
        assert until(browser, "document.querySelector('h1')?.textContent") == "report"
        browser.switch_to.default_content()


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (390, False)])
def test_axe_finds_no_violation_of_level_a_or_aa(visit, width, dark):
    with visit(width, dark) as browser:
        seen = []
        run = browser.execute_script("return document.querySelector(\".box[href^='#run/']\").hash.slice(1)")
        for page in (*PAGES, run, "model/ranking", "run/none"):
            browser.execute_script(f"location.hash = '{page}'")
            until(browser, "document.querySelector('main h1, main h2') && !document.querySelector('main [aria-busy]')")
            seen += violations(browser, page)
        go(browser, "models")
        click(browser, "button[data-key='Roll back']")
        seen += violations(browser, "decision")
        assert not seen


def test_a_model_server_that_dies_is_said_and_comes_back_without_a_reload(visit, up):
    with visit() as browser:
        browser.execute_script("window.here = true")
        until(browser, "!document.querySelector('.notice.bad')", 90)
        server = next(
            one for one in psutil.Process(up.process.pid).children(recursive=True) if "serve" in one.cmdline()
        )
        server.kill()
        until(browser, "document.querySelector('.box.bad')?.textContent.includes('models: no answer')")
        until(browser, "document.querySelector('.notice.bad')?.textContent.includes('models')")
        until(browser, "!document.querySelector('.notice.bad')", 90)
        assert browser.execute_script("return window.here")


def test_an_empty_home_has_the_page_alone_and_says_what_to_do(visit, tmp_path):
    running = Running(tmp_path / "home", ["up", "--port", str(free_ports(1)[0])], r"operator +(\S+)").wait()
    try:
        with visit(running=running) as browser:
            text = browser.find_element(By.TAG_NAME, "main").text
            assert "segue data import" in text
            for page in PAGES:
                go(browser, page)
                assert browser.find_element(By.TAG_NAME, "h1").text
            go(browser, "runs")
            decide(browser, "Run training", "the first one")  # it needs data, and the page says so
            until(browser, "document.querySelector('.degraded')?.textContent.includes('segue data import')", 60)
    finally:
        children = psutil.Process(running.process.pid).children(recursive=True)
        assert running.end(signal.SIGINT) == 0
        assert not [child for child in children if child.is_running()]


def test_read_only_offers_no_decision(visit, home):
    running = Running(home.root, ["up", "--read-only", "--port", str(free_ports(1)[0])], r"operator +(\S+)").wait()
    try:
        with visit(running=running) as browser:
            go(browser, "models")
            assert browser.execute_script("return [...document.querySelectorAll('main button')].every(b => b.disabled)")
            assert "Read-only" in browser.find_element(By.ID, "notice").text
    finally:
        assert running.end(signal.SIGINT) == 0


def test_both_pages_are_light(up, visit):
    # The script of the budgets judges times too, on a machine without other work.
    base = up.address.removesuffix("operator/")
    assert [measure(base).bytes < PAGE_BYTES for measure in (operator_budget, player_budget)] == [True, True]
