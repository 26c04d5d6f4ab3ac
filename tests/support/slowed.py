"""FILMROOM_SLOW=6 makes every Chromium of the tests six times slower and lets it wait for each answer: what only holds on
a quick machine then fails every time (on one test or on all: `-m browser`)."""

import os

from playwright.sync_api import Page, expect

SLOW = float(os.environ.get("FILMROOM_SLOW", "1"))
LATENCY = 60  # milliseconds more for each answer and step of slowness

# A condition for `page.wait_for_function` is written as a function ("() => ..."): a bare expression is evaluated anew at each
# look, which our CSP forbids, so that it only works when it holds at the first.
# Playwright's own 5 s is what a page needs on an idle machine; a busy one may take longer, and what is wrong stays wrong.
expect.set_options(timeout=30_000)


def page(made: Page) -> Page:
    """A new page, slowed down if asked for."""
    if SLOW > 1:
        session = made.context.new_cdp_session(made)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOW})
        session.send("Network.enable")
        conditions = {"offline": False, "latency": LATENCY * SLOW, "downloadThroughput": -1, "uploadThroughput": -1}
        session.send("Network.emulateNetworkConditions", conditions)
    return made
