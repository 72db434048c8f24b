"""The common style of all figures: colours for colour-blind readers, on light and dark pages."""

from typing import NamedTuple

import plotly.graph_objects as go

from fashion_hpo.design.measures import MEASURES

# Okabe and Ito (2008), a little lighter blue, without the black and the yellow that vanish on one
# background or the other.
COLOURS = ("#1F82C0", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#C98600", "#8A6FC9", "#8A8A8A")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "x")
BLUE, VERMILLION, GREEN, PURPLE = COLOURS[:4]
GREY = "#808080"
LOW_TO_HIGH = [[0.0, "#3B7FBF"], [0.5, "#9A9A9A"], [1.0, "#E08214"]]  # of middling lightness
HEIGHT = 420  # pixels
LOSS = "cross-entropy loss (nats)"
ACCURACY = MEASURES["val_accuracy"].axis

_AXIS = {
    "automargin": True,
    "gridcolor": "rgba(128, 128, 128, 0.25)",
    "linecolor": GREY,
    "showline": True,
    "ticks": "outside",
    "tickcolor": GREY,
    "ticklabeloverflow": "allow",
    "title": {"standoff": 14},
    "zeroline": False,
}
TEMPLATE = {
    "layout": {
        "colorway": list(COLOURS),
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": GREY},
        "hovermode": "closest",
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "modebar": {"bgcolor": "rgba(0, 0, 0, 0)", "color": GREY, "activecolor": "#1F82C0"},
        "margin": {"l": 60, "r": 20, "t": 70, "b": 60},
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
}


def new_figure(title: str, note: str, *, x: str, y: str, height: int = HEIGHT) -> go.Figure:
    """An empty figure with title, an explaining note, and axis titles."""
    figure = go.Figure(
        layout={"template": TEMPLATE, "height": height}
    )  # replaces plotly's template
    figure.update_layout(title={"text": title, "subtitle": {"text": note}})
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y)
    return figure


def say_empty(figure: go.Figure) -> go.Figure:
    """The figure, with a text in its middle if it is empty."""
    if not figure.data:
        figure.add_annotation(
            text="nothing to show yet", showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper"
        )
    return figure


class LevelLook(NamedTuple):
    """Colour and symbol of a level; the symbol distinguishes levels without colour."""

    colour: str
    symbol: str


def level_look(index: int) -> LevelLook:
    """The look of the level at this position of the study's order."""
    return LevelLook(COLOURS[index % len(COLOURS)], SYMBOLS[index % len(SYMBOLS)])


def faint(colour: str, opacity: float = 0.16) -> str:
    """A `#rrggbb` colour with this opacity."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"
