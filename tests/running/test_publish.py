"""A report of a real small store: its model section, its tags, and what is said to be absent."""

from pathlib import Path

from fashion_hpo.analysis.records import of_ledger
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.ports import TRAINING
from fashion_hpo.running.mirror import Mirror
from fashion_hpo.running.publish import publish
from fashion_hpo.stores.opening import all_ledgers
from fashion_hpo.stores.tracking import Tracker
from tests.finished import Finished
from tests.images import search_splits


def test_the_page_shows_the_best_model_and_the_study_run_has_the_checks(done: Finished) -> None:
    mirror = Mirror(done.store, done.ledger, done.tracker)
    published = publish(mirror, search_splits())
    page = published.page.read_text(encoding="utf-8")
    assert 'id="confusion"' in page
    assert "data:image/png;base64," in page
    tags = done.tracker.client.get_run(mirror.study_run()).data.tags
    told = {each.name: f"{each.level}: {each.sentence}" for each in published.checks}
    found = {name: tags[f"fashion_hpo.check.{name}"] for name in told}
    assert found == told
    assert {"diverged", "seed_noise", "unequal_budgets"} <= set(told)


def test_the_page_leads_to_every_trials_run_and_the_run_back_to_the_page(done: Finished) -> None:
    mirror, client = Mirror(done.store, done.ledger, done.tracker), done.tracker.client
    page = publish(mirror, where=" --store here").page.read_text(encoding="utf-8")
    experiment = done.tracker.experiment_id
    for number in range(4):
        run = client.get_run(done.run_id(number))
        address = (
            f"http://127.0.0.1:5000/#/experiments/{experiment}/runs/{run.info.run_id}?{TRAINING}"
        )
        assert f'<a href="{address}" target="_blank" rel="noopener">{number}</a>' in page
        study_run = f"#/experiments/{experiment}/runs/{mirror.study_run()}"
        note = run.data.tags["mlflow.note.content"]
        assert f"({study_run}/artifacts/report/report.html?{TRAINING})" in note
    assert "<code>python -m fashion_hpo.ui --store here</code>" in page


def test_the_gallery_shows_where_the_best_model_looked(done: Finished) -> None:
    mirror = Mirror(done.store, done.ledger, done.tracker)
    page = publish(mirror, search_splits()).page.read_text(encoding="utf-8")
    assert page.count('alt="its heat map"') == page.count('alt="validation image') > 0
    assert "No heat maps" not in page
    assert "heat map" not in publish(mirror).page.read_text(encoding="utf-8")


def test_a_model_that_was_altered_has_no_heat_maps_and_the_page_says_why(done: Finished) -> None:
    mirror = Mirror(done.store, done.ledger, done.tracker)
    for number in range(4):
        (done.model_folder(number) / "MLmodel").write_text("altered")
    page = publish(mirror, search_splits()).page.read_text(encoding="utf-8")
    assert 'alt="validation image' in page
    assert 'alt="its heat map"' not in page
    assert "is not what was logged: MLmodel is altered." in page


def test_without_images_or_logits_the_page_says_so_and_has_the_rest(done: Finished) -> None:
    mirror = Mirror(done.store, done.ledger, done.tracker)
    page = publish(mirror, None, "the data are not here").page.read_text(encoding="utf-8")
    assert "No gallery of mistakes: the data are not here." in page
    assert 'id="confusion"' in page
    for number in range(4):
        run = Path(done.tracker.client.get_run(done.run_id(number)).info.artifact_uri)
        (run / "validation_logits.npz").unlink()
        done.store.logits(done.uid(number)).unlink()
    page = publish(mirror).page.read_text(encoding="utf-8")
    assert "are missing; its figures are left out." in page
    assert 'id="confusion"' not in page
    assert 'id="isolation"' in page


def test_the_study_run_has_the_answer_as_note_and_metrics(done: Finished) -> None:
    mirror, client = Mirror(done.store, done.ledger, done.tracker), done.tracker.client
    for _ in range(2):  # a rebuilt report adds no point
        published = publish(mirror)
    run = client.get_run(mirror.study_run())
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**Does it run?**\n\n* ")
    assert f"* {published.answer[0]}" in note
    assert "4 of 4 trials have ended" in note
    assert run.data.metrics["complete_trials"] == 4
    low, mean, high = (run.data.metrics[f"best_{name}"] for name in ("low", "mean", "high"))
    assert low <= mean <= high
    assert f"{mean:.2%}" in published.answer[-1]
    assert len(client.get_metric_history(run.info.run_id, "best_mean")) == 1
    assert f"with dropout {run.data.tags['fashion_hpo.best.dropout']}," in published.answer[-1]


def test_the_run_of_a_search_has_the_settings_of_its_best_trial(done: Finished) -> None:
    ledger = next(each for each in all_ledgers(done.store) if each.plan.name == "tiny_search")
    mirror = Mirror(done.store, ledger, Tracker(done.store, "tiny_search"))
    publish(mirror)
    tags = mirror.tracker.client.get_run(mirror.study_run()).data.tags
    best = of_ledger(ledger).ranked.iloc[0]
    for name in ("dropout", "learning_rate", "batch_size"):
        assert tags[f"fashion_hpo.best.{name}"] == level_text(best[name])


def test_a_note_that_a_person_wrote_stays(done: Finished) -> None:
    mirror, client = Mirror(done.store, done.ledger, done.tracker), done.tracker.client
    publish(mirror)
    client.set_tag(mirror.study_run(), "mlflow.note.content", "mine")
    publish(mirror)
    assert client.get_run(mirror.study_run()).data.tags["mlflow.note.content"] == "mine"
