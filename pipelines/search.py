"""The search pipeline: trials of a model's settings, judged on the validation span."""

from kfp import dsl

from components.build_features import build_features
from components.ingest import ingest
from components.make_training_set import make_training_set
from components.report import report
from components.search.choose_trial import choose_trial
from components.search.plan_trials import plan_trials
from components.search.trial import trial
from pipelines.placement import placed

PARALLELISM = 1  # one trial's training fills the cores of a small machine


@dsl.pipeline(name="search", description="Random search over a model's settings; nothing is pushed.")
def search(home: str, run_id: str, config: dict):
    """Try settings of one model and write the best ones down, for a training run to take.

    Args:
        home: folder of all state, the same for every step (a mounted volume on a cluster).
        run_id: names the run's folder under `runs/`.
        config: `TrainingConfig.to_dict()`; its `search` says what is tried.
    """
    place = {"home": home, "run_id": run_id}
    reported = placed(report(**place, config=config)).set_caching_options(False)
    with dsl.ExitHandler(reported):
        log = placed(ingest(**place, config=config)).set_caching_options(False).outputs["ingested"]
        tables = placed(build_features(**place, ingested=log)).outputs["features"]
        examples = placed(make_training_set(**place, ingested=log, features=tables)).outputs["training_set"]
        # Each run of a search is one in MLflow: from the cache it would write to an ended one.
        plans = placed(plan_trials(**place, config=config, ingested=log, features=tables)).set_caching_options(False)
        # The plan is a step's output: how many trials there are is known when the pipeline runs.
        with dsl.ParallelFor(plans.outputs["Output"], name="trials", parallelism=PARALLELISM) as planned:
            known = {"training_set": examples, "catalogue": plans.outputs["catalogue"]}
            tried = placed(trial(**place, config=config, **known, planned=planned)).set_caching_options(False)
        placed(choose_trial(**place, config=config, trials=dsl.Collected(tried.output))).set_caching_options(False)
