"""A page as tests read it: its words, links, and the pictures in it."""

import base64
from html.parser import HTMLParser


class Page(HTMLParser):
    """Collects tags and their attributes, and fails where tags do not nest."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        assert self.open == []
        self.words = " ".join(self.words.split())

    @property
    def media(self) -> list[bytes]:
        """Return the pictures and films that are embedded, decoded."""
        sources = [attributes["src"] or "" for tag, attributes in self.tags if tag in ("img", "video")]
        return [base64.b64decode(source.partition(";base64,")[2]) for source in sources]

    @property
    def loads(self) -> list[str]:
        """Return what the page would fetch from elsewhere."""
        names = ("src", "href", "xlink:href", "poster", "srcset", "action")
        values = [attributes.get(name) or "#" for _, attributes in self.tags for name in names]
        scripts = [tag for tag, _ in self.tags if tag in ("script", "link", "iframe", "object", "embed", "base")]
        return scripts + [value for value in values if not value.startswith(("data:", "#"))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words += text + " "
