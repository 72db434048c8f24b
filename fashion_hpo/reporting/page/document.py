"""Fill a template: every page is one HTML file that loads nothing."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.policies["json.dumps_kwargs"] = {"separators": (",", ":")}


def render(template: str, **values: object) -> str:
    """The page.  Every value is escaped; a name in the template that has no value is an error."""
    return _TEMPLATES.get_template(template).render(values)
