"""What the pages cost a browser, from a trained home: `python -m tests.surfaces.player.budget`.

Weight over the network, the time to the first content, and the longest task of the browser's thread while a person uses
the page.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver

from segue.settings import Home
from segue.terminal import say
from stores.servers import free_ports
from tests.support.browser import chromium, click, network, until
from tests.support.processes import Running

PAGE_BYTES = 200_000
LIMITS = (PAGE_BYTES, 1000.0, 100.0)  # the bytes, and ms until the first content and of the longest task
WATCH = (
    "window.tasks = []; new PerformanceObserver(list => list.getEntries().forEach(e => tasks.push(e.duration)))"
    ".observe({type: 'longtask'})"
)


@dataclass(frozen=True)
class Budget:
    """What a page costs: the bytes of its first visit, and two times in ms."""

    bytes: int
    first_content_ms: float
    longest_task_ms: float


def measured(address: str, ready: str, use: Callable[[WebDriver], None]) -> Budget:
    """Measure a page in a new browser.

    Args:
        address: of the page.
        ready: a JavaScript expression that is true once the page is there.
        use: does what a person does there.
    """
    with chromium(1280, 844) as browser:
        browser.get(address)
        until(browser, ready, 120)
        _, weight = network(browser)
        content = until(browser, "performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
        browser.execute_script(WATCH)
        use(browser)
        browser.execute_async_script("setTimeout(arguments[0], 300)")
        longest = browser.execute_script("return Math.max(0, ...tasks)")
    return Budget(weight, round(content), round(longest))


def player_budget(base: str) -> Budget:
    """Home: play, skip, ask why, and go to the listener."""

    def use(browser: WebDriver) -> None:
        click(browser, ".shelf .art")
        until(browser, "document.querySelectorAll('.queue [data-item]').length")
        click(browser, ".deck [aria-label=Skip]")
        click(browser, ".deck [aria-label^=Why]")
        until(browser, "document.querySelectorAll('.why li').length")
        browser.switch_to.active_element.send_keys(Keys.ESCAPE)
        browser.execute_script("location.hash = 'listener'")
        until(browser, "document.querySelector('main .rows, main .empty')")

    return measured(f"{base}player/", "document.querySelectorAll('.shelf .card:not(.ghost)').length > 5", use)


def operator_budget(base: str) -> Budget:
    """The loop: each page, a run, and all figures of a model."""

    def use(browser: WebDriver) -> None:
        run = browser.execute_script("return document.querySelector(\".box[href^='#run/']\").hash.slice(1)")
        for page in ("runs", run, "models", "model/ranking", "monitor", "drift", "experiments", "traffic"):
            browser.execute_script(f"location.hash = '{page}'")
            until(browser, "document.querySelector('main h1') && !document.querySelector('main [aria-busy]')")
        browser.execute_script("location.hash = 'model/retrieval'")
        click(browser, "main summary")

    return measured(f"{base}operator/", "document.querySelector('.loop .box')", use)


def main(home: Home) -> None:
    """Print the budgets of both pages on a home, read-only; exit code 1 if a limit is broken."""
    held = True
    up = Running(home.root, ["up", "--read-only", "--port", str(free_ports(1)[0])], r"gateway +(\S+)").wait()
    try:
        for name, measure in (("player", player_budget), ("operator", operator_budget)):
            one = measure(f"{up.address}/")
            say(
                f"{name}: {one.bytes / 1000:.0f} kB, first content after {one.first_content_ms:.0f} ms, longest task "
                f"{one.longest_task_ms:.0f} ms"
            )
            figures = (one.bytes, one.first_content_ms, one.longest_task_ms)
            held &= all(figure < most for figure, most in zip(figures, LIMITS, strict=True))
    finally:
        up.end(signal.SIGINT)
    raise SystemExit(not held)


if __name__ == "__main__":
    main(Home.from_env())
