"""Show the verdicts on the reports' claims: `python -m fashion_hpo.claims`."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.as_json import add_json, answering
from fashion_hpo.terminal.saying import say, say_table


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 for any verdicts, or 2 for a store that cannot be read."""
    parser = command_line.parser(
        "claims", "Judge every claim of the reports by the results in the store."
    )
    command_line.add_budget(parser, None, "default: the largest complete one of each study")
    command_line.add_store(parser)
    parser.add_argument(
        "--html", type=command_line.file, metavar="FILE", help="write the page there as well"
    )
    parser.add_argument("--markdown", action="store_true", help="print one Markdown table")
    parser.add_argument(
        "--studies",
        action="store_true",
        help="list the studies that ask the claims under the full (or named) budget, cheapest "
        "first, and train nothing",
    )
    add_json(parser)
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    if args.studies:
        return _list_studies(args.budget or "full")
    with answering(args) as answer:
        return _show(args, answer)


def _list_studies(budget: str) -> int:
    from fashion_hpo.analysis.findings import plans_of_claims
    from fashion_hpo.measuring.estimate import operations

    costs = {plan.name: (operations(plan), plan) for plan in plans_of_claims(budget)}
    cheapest = sorted(costs.values(), key=lambda cost: cost[0])
    say_table(
        {
            plan.name: f"{', '.join(claim.id for claim in plan.spec.claims)}: "
            f"{plan.trials} trials, {plan.image_passes:,} image passes, "
            f"{cost / 1e15:,.1f} PFLOP forward"
            for cost, plan in cheapest
        }
    )
    return 0


def _show(args: argparse.Namespace, answer: dict[str, Any]) -> int:
    from fashion_hpo.analysis.findings import gather
    from fashion_hpo.files.atomic import write_atomically
    from fashion_hpo.reporting.page import claims_page
    from fashion_hpo.running.publish import publish_claims
    from fashion_hpo.stores.reading import store_to_read

    store = store_to_read(args.store, args.storage)
    gathered, unreadable = gather(store, args.budget)
    where = command_line.store_arguments(args)
    findings = claims_page.on_store(gathered, where)
    if args.html is not None:
        write_atomically(args.html, claims_page.page(findings, unreadable, where).encode())
    answer |= {"claims": [finding.as_dict() for finding in findings], "unreadable": unreadable}
    if args.markdown:
        print(claims_page.markdown(findings))
        return 0
    for finding in findings:
        say(claims_page.title(finding))
        say_table(claims_page.facts(finding), margin=6)
    say("", *claims_page.left_out(unreadable), claims_page.summary(findings))
    if store.copied is not None:
        print(f"report    not written, because store {store.root} is read-only")
    elif store.has_ledgers:  # no page for an empty store
        published = publish_claims(store, findings, unreadable, where)
        print(f"report    {published.page}")
        if not published.mirrored:
            print(f"not in MLflow ({published.away}); the same command logs it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
