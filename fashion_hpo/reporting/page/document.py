"""One HTML file that needs no network: what every page is made of."""

from collections.abc import Iterable
from html import escape
from string import Template

from fashion_hpo.reporting.page.style import POLICY, STYLE

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
$body
</main>
$scripts
</body>
</html>
""")


def document(title: str, parts: Iterable[str], scripts: Iterable[str] = (), style: str = "") -> str:
    """A page; `parts` are HTML, `scripts` JavaScript, `style` is CSS of this page alone."""
    return _PAGE.substitute(
        title=escape(title),
        policy=escape(POLICY),
        style=STYLE + style,
        body="\n".join(parts),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def section(heading: str, content: str) -> str:
    """A heading and the HTML under it."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>"
