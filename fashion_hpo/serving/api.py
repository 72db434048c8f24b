"""The description of the HTTP interface: OpenAPI for programs, a page for people."""

from collections.abc import Mapping
from html import escape
from typing import Any

from fashion_hpo import __version__

GREY: dict[str, Any] = {"type": "array", "items": {"type": "array", "items": {
    "type": "integer", "minimum": 0, "maximum": 255,
}}}  # fmt: skip
COLOUR = {"type": "array", "items": GREY}
ROWS = "28 rows of 28 whole numbers from 0 to 255"
PREDICTION = {
    "type": "object",
    "properties": {
        "class": {"type": "string"},
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        "warning": {"type": "string", "description": "there only if the model is unsure"},
        "changes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "what was done to the picture",
        },
        "explanation": {
            "type": ["string", "null"],
            "description": "with explain=1: the address (data:) of a PNG of where the model looks",
        },
    },
}
EXPLAIN = {
    "name": "explain",
    "in": "query",
    "schema": {"type": "string", "enum": ["1"]},
    "description": "also show where the model looks",
}
REFUSAL = {
    "description": "one sentence that says what is wrong",
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"error": {"type": "string"}}}
        }
    },
}


def description(
    name: str, channels: int, image_types: set[str], most_images: int
) -> dict[str, Any]:
    """The OpenAPI description of a server of the model `name`."""
    picture = {"schema": {"type": "string", "format": "binary"}}
    form = {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
    pictures = dict.fromkeys(sorted(image_types), picture)
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": __version__},
        "paths": {
            "/predict": {
                "post": _operation(
                    "Classify a picture, or arrays",
                    {
                        **pictures,
                        "multipart/form-data": {"schema": form},
                        "application/json": {"schema": _arrays("images", channels, most_images)},
                    },
                    PREDICTION,
                ),
            },
            "/invocations": {
                "post": _operation(
                    "Probabilities in the order of the class names, as MLflow serves models",
                    {"application/json": {"schema": _arrays("inputs", channels, most_images)}},
                    {"type": "array", "items": {"type": "number"}},
                )
            },
            "/health": {
                "get": {
                    "summary": "Whether the server answers",
                    "responses": {"200": {"description": '{"status": "ok"}'}},
                }
            },
        },
    }


def page(described: Mapping[str, Any]) -> str:
    """The description for people, in HTML that loads nothing."""
    parts = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            kinds = operation.get("requestBody", {}).get("content", {})
            options = operation.get("parameters", [])
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
            parts.append(f"<p>{escape(operation['summary'])}.</p>")
            if kinds:
                listed = "".join(f"<li><code>{escape(kind)}</code>" for kind in kinds)
                parts.append(f"<p>Content-Type:</p><ul>{listed}</ul>")
            parts += [
                f"<p><code>?{escape(option['name'])}=1</code>: {escape(option['description'])}.</p>"
                for option in options
            ]
            answers = "".join(
                f"<tr><td>{status}<td>{escape(answer['description'])}"
                for status, answer in operation["responses"].items()
            )
            parts.append(f"<table>{answers}</table>")
    title = escape(described["info"]["title"])
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="icon" href="data:,">'
        "<style>:root{color-scheme:light dark}body{font:16px/1.5 "
        "system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}td{padding:0 1rem "
        "0 0;vertical-align:top}</style>"
        f'<h1>{title}</h1><p>For programs: <a href="/openapi.json">openapi.json</a>. A page to '
        f'drop a picture on: <a href="/">here</a>.</p>{"".join(parts)}</html>'
    )


def _arrays(key: str, channels: int, most: int) -> dict[str, Any]:
    images = {
        "type": "array",
        "description": ROWS if channels == 1 else f"three times (red, green, blue) {ROWS}",
        "minItems": 1,
        "maxItems": most,
        "items": GREY if channels == 1 else COLOUR,
    }
    return {"type": "object", "properties": {key: images}, "required": [key]}


def _operation(summary: str, content: Mapping[str, Any], each: Mapping[str, Any]) -> dict[str, Any]:
    answer = {
        "type": "object",
        "properties": {
            "model": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
            },
            "predictions": {"type": "array", "items": each},
        },
    }
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": dict(content)},
        "responses": {
            "200": {
                "description": "the model with its version, and a prediction for each image",
                "content": {"application/json": {"schema": answer}},
            },
            **dict.fromkeys(("400", "408", "413", "415", "422"), REFUSAL),
        },
    }
