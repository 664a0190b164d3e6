"""What a command shows on a terminal, colours included, as a picture."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from playwright.async_api import Browser
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from gossip.view import Address
from tests.commands import run
from tests.ui.browser import keep

COLUMNS = 118
TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
PAGE = (
    '<body style="margin: 0"><pre style="margin: 0; padding: 18px; width: max-content; background: {background}; '
    'color: {foreground}; font: 14px/1.4 monospace">{code}</pre></body>'
)


async def terminal_picture(browser: Browser, node: Address, arguments: list[str], path: Path) -> None:
    """Keep what `kvs` with these arguments shows to who asks that node."""
    environment = os.environ | TERMINAL | {"KVS_ENDPOINTS": node}
    done = await run(sys.executable, "-m", "kvs.cli", *arguments, environment=environment)
    assert done.out and not done.errors, done
    screen = Console(file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True, color_system="truecolor")
    screen.print(Text(f"$ kvs {' '.join(arguments)}", "bold"), Text.from_ansi(done.out), sep="\n")
    html = screen.export_html(theme=SVG_EXPORT_THEME, code_format=PAGE, inline_styles=True)
    page = await browser.new_page()
    await page.set_content(html)
    keep(await page.locator("pre").screenshot(), path)
    await page.close()
