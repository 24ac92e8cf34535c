"""Great Expectations' pages of results, with what they show of the data as text.

Its own view writes cells of tables (sampled keys, rows and observed values) into the page as they are: what
somebody has brought into a feed would run in the browser of whoever looks at why it was refused.
"""

from __future__ import annotations

import html
from typing import Any

from great_expectations.render.view import DefaultJinjaPageView
from jinja2 import pass_context


class EscapedPageView(DefaultJinjaPageView):
    """The stock view; a string that is no template of its own is text, whatever it looks like."""

    @pass_context
    def render_content_block(self, jinja_context: Any, content_block: Any, *args: Any, **kwargs: Any) -> Any:
        """As the stock view's."""
        return super().render_content_block(jinja_context, _escaped(content_block), *args, **kwargs)


def _escaped(block: Any) -> Any:
    if isinstance(block, str):
        return html.escape(block, quote=False)
    if isinstance(block, list):
        return [_escaped(each) if isinstance(each, str) else each for each in block]
    return block
