"""Somebody before a real browser, who sees whether a page is fit for everybody."""

import os
from typing import Any

from console.web.filled import PASSWORD
from console.web.website import Website

SIZES = {"desk": (1440, 900), "phone": (390, 844)}
SHOTS = os.environ.get("EDGEAGENT_SHOTS")
"""Folder into which pictures of the pages go, where somebody wants to look at them."""


class Seat:
    """Somebody before a screen, who notes whatever the browser complains of."""

    def __init__(self, browser: Any, website: Website, size: str, look: str) -> None:
        width, height = SIZES[size]
        self.website = website
        self.name = f"{size}-{look}"
        self.complaints: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=look, locale="en-GB", reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.base = website.base.replace("127.0.0.1", "localhost")

    def _note(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def go(self, address: str) -> None:
        self.page.goto(self.base + address)

    def log_in(self, name: str = "ada") -> None:
        self.go("/login")
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in", exact=True).click()
        self.page.wait_for_url(lambda url: "/login" not in url)

    def shoot(self, name: str, heading: str) -> None:
        """See that the page with this heading is well formed for everybody, and take a picture of it."""
        self.page.get_by_role("heading", name=heading).first.wait_for()
        self.page.wait_for_load_state()
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name}: {wide} pixels stick out"
        assert self.page.evaluate(UNFIT) == [], name
        if SHOTS:
            self.page.screenshot(path=f"{SHOTS}/{name}-{self.name}.png", full_page=True)


UNFIT = """() => {
  const found = [];
  const seen = (one) => one.checkVisibility({ checkVisibilityCSS: true });
  const name = (one) => (one.getAttribute("aria-label") || (one.getAttribute("aria-labelledby") || "").split(" ")
    .map((id) => document.getElementById(id)?.textContent ?? "").join(" ") || [...(one.labels ?? [])]
    .map((label) => label.textContent).join(" ") || one.textContent || one.title || "").trim();
  const wanted = "input:not([type=hidden]), select, textarea, button, a[href], summary";
  for (const one of document.querySelectorAll(wanted)) {
    if (seen(one) && !name(one) && !one.querySelector("img[alt]")) found.push("no name: " + one.outerHTML.slice(0, 90));
  }
  let last = 0;
  for (const one of document.querySelectorAll("h1, h2, h3, h4")) {
    const level = Number(one.tagName[1]);
    if (level > last + 1) found.push("heading skips: " + one.textContent);
    last = level;
  }
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  if (document.querySelectorAll("main").length !== 1) found.push("not one main");
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push("id twice: " + id);
  for (const one of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
    const named = [one.getAttribute("aria-labelledby") ?? "", one.getAttribute("aria-describedby") ?? ""];
    for (const id of named.join(" ").split(" ")) {
      if (id && !document.getElementById(id)) found.push("nothing called " + id);
    }
  }
  for (const one of document.querySelectorAll("svg[role=img]")) if (!name(one)) found.push("picture without a name");
  for (const one of document.querySelectorAll("img")) if (!one.alt) found.push("image without words");
  for (const one of document.querySelectorAll("[tabindex]")) if (one.tabIndex > 0) found.push("tab order is forced");
  return found;
}"""
