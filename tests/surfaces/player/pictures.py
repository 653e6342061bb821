"""Pictures of the pages for the documentation, from a trained home: `python -m tests.surfaces.player.pictures`."""

import signal
from pathlib import Path

from selenium.webdriver.remote.webdriver import WebDriver

from segue.settings import Home
from stores.servers import free_ports
from tests.support.browser import chromium, until
from tests.support.processes import ROOT, Running

IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 150_000
# The notice of a read-only page is not what the pictures are about.
HIDE_NOTICE = "document.getElementById('notice').hidden = true"
WHOLE = "document.querySelectorAll('.shelf .card:not(.ghost)').length > 5 && !document.querySelector('.notice.bad')"


def pictures(home: Home) -> None:
    """Write `player-home.png`, `player-phone.png` and `operator-loop.png`."""
    player = Running(home.root, ["up", "--read-only", "--port", str(free_ports(1)[0])], r"player +(\S+)").wait()
    try:
        with chromium(1280, 800) as browser:
            browser.get(player.address)
            until(browser, WHOLE, 120)
            play_first(browser, player.address)
            save(browser.get_screenshot_as_png(), IMAGES / "player-home.png")
        with chromium(390, 800, dark=True) as browser:
            play_first(browser, player.address)
            save(browser.get_screenshot_as_png(), IMAGES / "player-phone.png")
        with chromium(1280, 800) as browser:
            browser.get(player.address.replace("player", "operator"))
            until(browser, "document.querySelectorAll('.loop .box').length && !document.querySelector('.box.bad')", 120)
            browser.execute_script(HIDE_NOTICE)
            save(browser.get_screenshot_as_png(), IMAGES / "operator-loop.png")
    finally:
        player.end(signal.SIGINT)


def play_first(browser: WebDriver, address: str) -> None:
    """Open Home, play its first item, and wait for the queue."""
    browser.get(address)
    until(browser, WHOLE)
    browser.execute_script(HIDE_NOTICE)
    browser.execute_script("document.querySelector('.shelf .art').click()")
    until(browser, "document.querySelectorAll('.queue .row').length")


def save(png: bytes, path: Path) -> None:
    """Write a picture with fewer colours."""
    import io

    from PIL import Image

    Image.open(io.BytesIO(png)).convert("RGB").quantize().save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES, f"{path} has {path.stat().st_size} bytes"


if __name__ == "__main__":
    pictures(Home.from_env())
