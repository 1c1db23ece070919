"""Hook of the site: links from docs/ to other files of the repository lead to its web page.

On GitHub `[card](../MODEL_CARD.md)` opens the file. The site holds docs/ alone, so mkdocs would
call the link broken; `tests/test_repository.py` checks that the file is there.
"""
from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Return the page with links that leave docs/ made absolute, or as text without a repo_url."""
    folder = posixpath.dirname(page.file.src_uri)

    def link(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join("docs", folder, target))
        if path.startswith("docs/"):
            return match[0]
        if not config.repo_url:
            return text
        return f"[{text}]({config.repo_url.rstrip('/')}/blob/HEAD/{path}{anchor})"

    return _LINK.sub(link, markdown)
