"""Links of the site that leave docs/ lead to the repository's page."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from tools.docs.site_links import on_page_markdown

PAGE = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"))


@pytest.mark.parametrize(("text", "expected"), [
    ("[card](../MODEL_CARD.md#limits)", "[card](https://x.org/r/blob/HEAD/MODEL_CARD.md#limits)"),
    ("[page](phone.md)", "[page](phone.md)"), ("![p](images/a.png)", "![p](images/a.png)"),
    ("[out](https://x.org)", "[out](https://x.org)")])
def test_links(text, expected):
    config = SimpleNamespace(repo_url="https://x.org/r/")
    assert on_page_markdown(text, page=PAGE, config=config) == expected


def test_without_a_repository_the_text_stays():
    config = SimpleNamespace(repo_url="")
    assert on_page_markdown("[card](../MODEL_CARD.md)", page=PAGE, config=config) == "card"
