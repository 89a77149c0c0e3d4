"""Tables and texts as HTML, for notebooks and the report.

What others wrote, such as the names of classes, is shown and never obeyed.
"""

from collections.abc import Iterable, Sequence

from tinynet.console import visible


def text(value: object) -> str:
    r"""Any value as text in HTML; what a browser or a terminal would obey is an escape.

    >>> text("<b>\x1b & \u202e")
    '&lt;b&gt;\\x1b &amp; \\u202e'
    """
    import html  # slow to load

    return html.escape(visible(str(value)))


def table(head: Sequence[object], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """A table of texts: the first `left` columns to the left, the others, numbers, to the right."""

    def line(cells: Sequence[object], tag: str) -> str:
        sides = ["left" if k < left else "right" for k in range(len(cells))]
        return "".join(
            f'<{tag} style="text-align:{side}">{text(cell)}</{tag}>'
            for side, cell in zip(sides, cells)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{line(head, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def preformatted(lines: object) -> str:
    """Lines as they stand on a terminal."""
    shown = "\n".join(text(line) for line in str(lines).split("\n"))
    return f"<pre>{shown}</pre>"
