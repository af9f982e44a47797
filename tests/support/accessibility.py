"""What a page must keep so that everybody can use it, computed from Chromium itself.

Names and roles come from the accessibility tree, colours and sizes from the rendered page. Each
check returns its findings in words; an empty list is a pass.
"""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_RENDERED = Path(__file__).with_suffix(".js")
NAMED_ROLES = {
    "button", "checkbox", "combobox", "dialog", "group", "image", "link", "navigation", "radio",
    "region", "textbox", "timer",
}  # fmt: skip


def findings(page: Page) -> list[str]:
    """Everything that is wrong with the page as it stands."""
    rendered: list[str] = page.evaluate(_RENDERED.read_text())
    return [*_unnamed(page), *rendered]


def _unnamed(page: Page) -> list[str]:
    session = page.context.new_cdp_session(page)
    nodes: list[dict[str, Any]] = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return [
        f"a {role} has no name"
        for node in nodes
        if not node.get("ignored") and (role := node["role"]["value"]) in NAMED_ROLES
        if not node.get("name", {}).get("value", "").strip()
    ]
