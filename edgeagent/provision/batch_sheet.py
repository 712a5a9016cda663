"""Devices with their tokens to one HTML page that prints as labels: a name, a QR code, what a person types."""

from collections.abc import Sequence
from html import escape

from edgeagent.logs import printable
from edgeagent.provision.batch import Made
from edgeagent.provision.errors import ImageError

_STYLE = """
body { font: 11pt/1.4 sans-serif; margin: 1cm; color: #000; background: #fff }
ul { list-style: none; padding: 0; display: grid; gap: 4mm; grid-template-columns: repeat(auto-fill, minmax(8cm, 1fr)) }
li { border: 1px solid #999; padding: 3mm; display: flex; gap: 4mm; break-inside: avoid }
h1 { font-size: 14pt } h2 { font-size: 12pt; margin: 0; overflow-wrap: anywhere }
.qr { width: 3cm; height: 3cm; flex: none } .paper { fill: #fff } .ink { fill: #000 }
dl { margin: 0 } dt { font-size: 8pt; color: #444 } dd { margin: 0; overflow-wrap: anywhere }
.mono { font-family: monospace } .none { width: 3cm; flex: none; color: #444 }
@media print { .no-print { display: none } body { margin: 0 } }
"""


def sheet(made: Sequence[Made]) -> str:
    """Return the page. It holds secrets. Raise ImageError where QR codes cannot be made here."""
    try:
        from edgeagent.console.web.qr import code  # noqa: PLC0415  # of the extra `console`, needed for this alone
    except ImportError as error:
        raise ImageError("QR codes need segno", remedy="pip install 'edgeagent[console]'") from error
    slips = [
        _slip(one, str(code(one.token.secret, f"Token of {one.row.seed.name}")) if one.token else "") for one in made
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Devices</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{len(made)} device{'' if len(made) == 1 else 's'}</h1>\n"
        '<p class="no-print">Whoever has a token becomes that device, once: print this, then delete the file.</p>\n'
        f"<ul>\n{chr(10).join(slips)}\n</ul>\n</body></html>\n"
    )


def _slip(one: Made, qr: str) -> str:
    seed, token = one.row.seed, one.token
    facts = [
        ("Serial", "any board" if one.row.any_board else one.row.serial),
        ("Fleet", seed.fleet),
        ("Room", seed.area),
        ("Board", " ".join(filter(None, (seed.board, seed.hat)))),
        ("Token", token.secret if token else None),
        ("Good until", f"{token.expires:%Y-%m-%d %H:%M} UTC" if token else None),
        ("Files", one.path.name),
    ]
    told = "".join(f'<dt>{name}</dt><dd class="mono">{escape(printable(value))}</dd>' for name, value in facts if value)
    picture = qr or '<p class="none">no token</p>'
    return f"<li>{picture}<div><h2>{escape(printable(seed.name))}</h2><dl>{told}</dl></div></li>"
