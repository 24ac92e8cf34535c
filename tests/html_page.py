"""A page of HTML as a test reads it: its elements, its words, its pictures, and what it asks of others."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree


class HtmlPage(HTMLParser):
    """Elements and their text, and whether every one that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._source = text
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self._open[-1] if self._open else "", data.strip()))

    def of(self, tag: str) -> list[str]:
        return [text for within, text in self.texts if within == tag]

    def words(self) -> str:
        return " ".join(text for within, text in self.texts if within != "style")

    def outside_references(self) -> list[str]:
        """Attributes, addresses and styles that would have a browser ask somebody else, or run something."""
        asking = {"src", "href", "srcset", "action", "data", "poster", "onload", "onclick"}
        used = sorted(asking & {name for _, attributes in self.tags for name in attributes})
        plain = self._source.replace("http-equiv", "")
        others = [word for word in ("http:", "https:", "@import", "<link", "<iframe") if word in plain]
        foreign = self._source.count("url(") - self._source.count("url(#")
        return [*used, *others, *["url("] * foreign]


def svgs(text: str) -> list[ElementTree.Element]:
    return [
        ElementTree.fromstring("<svg" + part.split("</svg>")[0] + "</svg>") for part in text.split("<svg")[1:]
    ]


def pictures(text: str) -> list[ElementTree.Element]:
    """The plots, without the samples of lines in their keys."""
    return [svg for svg in svgs(text) if svg.get("role") == "img"]
