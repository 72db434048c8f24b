"""Classify pictures with the champion: `python -m fashion_hpo.predict boot.png`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_hpo.design.sentences import listed
from fashion_hpo.terminal import command_line

if TYPE_CHECKING:
    from fashion_hpo.serving.classifier import Answer, Classifier
    from fashion_hpo.serving.preparing import Prepared


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0; 2 if a file is not an image or the store has no champion; 1 if the champion's
    files have changed since they were registered."""
    parser = command_line.parser(
        "predict",
        "Classify pictures of one article each.  A picture is turned upright, made grey, inverted "
        "if its background is light, cropped to the article and scaled to 28x28, as the pictures "
        "of Fashion-MNIST were.",
    )
    parser.add_argument(
        "pictures", type=Path, nargs="+", metavar="PATH", help="an image file, or a folder of them"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--explain",
        type=command_line.folder,
        metavar="DIR",
        help="also write a picture for each file into DIR: where the champion looks",
    )
    command_line.add_store(parser)
    command_line.add_champion_of(parser)
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.serving.images import files_in

    if args.explain is not None and args.explain.exists() and not args.explain.is_dir():
        raise ValueError(f"--explain is {args.explain}, which is no folder; name another.")
    paths = [file for path in args.pictures for file in files_in(path)]
    own = _own_champion(args)
    prepared, errors = _read(paths, own)
    if not prepared and len(errors) == 1:
        raise ValueError(*errors.values())

    from fashion_hpo.serving.classifier import champion, stacked

    classifier = own or champion(args.store)
    images = [picture.pixels for picture in prepared.values()]
    answers = classifier.answers(stacked(images)) if images else []
    explained = {} if args.explain is None else _explain(classifier, prepared, args.explain)
    if args.json:
        _print_json(classifier, prepared, answers, errors, explained)
    else:
        _print(classifier, prepared, answers, errors)
        for path, picture in explained.items():
            print(f"where it looks in {path}: {picture}")
    return command_line.BAD_INPUT if errors else 0


def _own_champion(args: argparse.Namespace) -> "Classifier | None":
    """The champion of a data set of one's own, if it is named; it says how to read pictures."""
    if args.data_name is None:
        return None
    from fashion_hpo.serving.classifier import champion

    return champion(args.store, args.data_name)


def _read(
    paths: Sequence[Path], own: "Classifier | None"
) -> "tuple[dict[Path, Prepared], dict[Path, str]]":
    """The prepared pictures, and an error for each file that is not a picture."""
    import numpy as np

    from fashion_hpo.serving.images import read_grey
    from fashion_hpo.serving.preparing import prepare

    prepared, errors = {}, {}
    for path in paths:
        name = f"image {path}"
        try:
            if own is None:
                prepared[path] = prepare(np.asarray(read_grey(path, name)))
            else:
                prepared[path] = own.prepared(path, name)
        except ValueError as error:
            errors[path] = str(error)
    return prepared, errors


def _explain(
    classifier: "Classifier", prepared: "dict[Path, Prepared]", folder: Path
) -> dict[Path, Path]:
    """Write each picture beside its heat map into the folder; returns the files written."""
    from fashion_hpo.files.atomic import write_atomically
    from fashion_hpo.reporting.page.pictures import png
    from fashion_hpo.serving.classifier import stacked
    from fashion_hpo.training.overlay import side_by_side

    written: dict[Path, Path] = {}
    if not prepared:
        return written
    images = [picture.pixels for picture in prepared.values()]
    folder.mkdir(parents=True, exist_ok=True)
    looks = classifier.looks(stacked(images))
    for path, image, look in zip(prepared, images, looks, strict=True):
        number = 1 + sum(other.stem == path.stem for other in written)
        name = path.stem if number == 1 else f"{path.stem}-{number}"
        written[path] = folder / f"{name}.png"
        write_atomically(written[path], png(side_by_side(image, look)))
    return written


def _print(
    classifier: "Classifier",
    prepared: "dict[Path, Prepared]",
    answers: "Sequence[Answer]",
    errors: dict[Path, str],
) -> None:
    for error in errors.values():
        print(f"error: {error}", file=sys.stderr)
    for remark in _remarks(prepared, answers):
        print(remark, file=sys.stderr)
    for path, answer in zip(prepared, answers, strict=True):
        best = answer.ranked[:3]
        if len(prepared) + len(errors) == 1:
            for name, probability in best:
                print(f"{name:12} {probability:.1%}")
        else:
            print(f"{path}: {', '.join(f'{name} {share:.1%}' for name, share in best)}")
    print(f"by {classifier.name} version {classifier.version}")
    if errors:
        print(f"{len(errors)} of {len(errors) + len(prepared)} files are no pictures")


def _remarks(prepared: "dict[Path, Prepared]", answers: "Sequence[Answer]") -> list[str]:
    """Each note and each warning once, with the pictures that it is about."""
    about: dict[tuple[str, str], list[Path]] = {}
    for (path, picture), answer in zip(prepared.items(), answers, strict=True):
        notes = [("note", change) for change in picture.changes]
        warnings = [("warning", answer.warning)] if answer.warning else []
        for remark in [*notes, *warnings]:
            about.setdefault(remark, []).append(path)
    return [f"{kind}: {_named(about[kind, text], len(prepared))}: {text}" for kind, text in about]


def _named(paths: Sequence[Path], pictures: int) -> str:
    """`image a.png`, `images a.png, b.png` or `all 3 images`."""
    if len(paths) == 1:
        return f"image {paths[0]}"
    if len(paths) == pictures:
        return f"all {pictures} images"
    return f"images {listed(map(str, paths), '--json')}"


def _print_json(
    classifier: "Classifier",
    prepared: "dict[Path, Prepared]",
    answers: "Sequence[Answer]",
    errors: dict[Path, str],
    explained: dict[Path, Path],
) -> None:
    predictions: list[dict[str, Any]] = [
        {
            "file": str(path),
            **answer.to_dict(),
            "changes": list(picture.changes),
            **({"explanation": str(explained[path])} if path in explained else {}),
        }
        for (path, picture), answer in zip(prepared.items(), answers, strict=True)
    ]
    failures = [{"file": str(path), "error": error} for path, error in errors.items()]
    print(
        json.dumps(
            {"model": classifier.identity, "predictions": predictions, "errors": failures}, indent=2
        )
    )


if __name__ == "__main__":
    sys.exit(main())
