"""An HTML page read back: its tags, what they refer to, and the text of its cells."""

import html.parser

# Attributes by which a page loads something, or runs it.
REFERRING = ("src", "href", "srcset", "action", "data", "background", "poster", "formaction")


class Page(html.parser.HTMLParser):
    """Collects a page's tags with their attributes, the text of table cells, and all text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.inside, self.text = [], [], False, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append("")
            self.inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        self.text += data
        if self.inside:
            self.cells[-1] += data

    def all(self, tag):
        """The attributes of each such tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def kinds(self):
        """Every tag with the names of its attributes."""
        return {(tag, *sorted(attributes)) for tag, attributes in self.tags}

    @property
    def references(self):
        """All that the page refers to, but for pictures that it holds."""
        found = [
            value
            for _, attributes in self.tags
            for name, value in attributes.items()
            if name in REFERRING or (value or "").lower().startswith("javascript:")
        ]
        return [value for value in found if not value.startswith("data:image/")]
