"""The description of a registered model."""

import json

from fashion_hpo.running.registration import Candidate, Score
from fashion_hpo.stores.ledger import Ledger


def model_card(ledger: Ledger, chosen: Candidate, tested: Score, openings_before: int) -> str:
    """Markdown: where the model comes from, what it reaches, what it is for and not for."""
    summaries = chosen.result.summaries
    accuracy = f"{tested.accuracy:.2%} ± {1.96 * tested.error:.2%}"
    config = json.dumps(chosen.attempt.config.to_dict(), indent=2)
    title = f"{chosen.attempt.config.architecture}: trial {chosen.attempt.number} of {ledger.name}"
    return f"""# {title}

Question of the study: {ledger.attributes["question"]}

| measure | value |
|---|---|
| validation accuracy (5,000 images, chosen on) | {summaries["model_val_accuracy"]:.2%} |
| test accuracy (10,000 images) | {accuracy} |
| test loss | {tested.loss:.4f} |
| calibration error (validation) | {summaries["ece"]:.4f} |
| openings of the test set before this one | {openings_before} |

Input: raw uint8 (N, 28, 28), grey, the article bright on black. Output: ten probabilities.
Meant for teaching and comparing methods on Fashion-MNIST; not for photographs of clothes.
Data sha256: {ledger.data_hash}

```json
{config}
```
"""
