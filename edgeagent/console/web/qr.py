"""Texts to QR codes: SVG that the page's style sheet colours, for cameras and for paper."""

import segno
from markupsafe import Markup, escape

from edgeagent.logs import printable


def code(text: str, name: str) -> Markup:
    """Return a QR code of a text; `name` is what a screen reader says of it."""
    made = segno.make(text, error="m", micro=False)
    rows = [bytes(row) for row in made.matrix]
    path = "".join(f"M{x} {y}h{length}v1h-{length}z" for y, row in enumerate(rows) for x, length in _runs(row))
    side = len(rows) + 8  # a quiet zone of four modules, as the standard wants
    return Markup(  # noqa: S704  # numbers and an escaped name
        f'<svg class="qr" viewBox="-4 -4 {side} {side}" role="img" aria-label="{escape(printable(name))}" '
        f'shape-rendering="crispEdges"><path class="paper" d="M-4 -4h{side}v{side}h-{side}z"/>'
        f'<path class="ink" d="{path}"/></svg>'
    )


def _runs(row: bytes) -> list[tuple[int, int]]:
    """Return where dark modules begin, and how many lie beside one another."""
    runs, start = [], None
    for x, dark in enumerate((*row, 0)):
        if dark and start is None:
            start = x
        elif not dark and start is not None:
            runs.append((start, x - start))
            start = None
    return runs
