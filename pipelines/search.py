"""The search pipeline: trials of a model's settings, judged on the validation span."""

from kfp import dsl

from components.build_features import build_features
from components.ingest import ingest
from components.make_training_set import make_training_set
from components.report import report
from components.search.choose_trial import choose_trial
from components.search.plan_trials import plan_trials
from components.search.trial import trial
from pipelines.placement import mount_home

PARALLELISM = 1  # the training of one trial uses all cores of a small machine


@dsl.pipeline(name="search", description="Random search over a model's settings; nothing is pushed.")
def search(home: str, run_id: str, config: dict):
    """Try settings of one model and write the best settings to a configuration for a training run.

    Args:
        home: the folder of all state, the same for every step. On a cluster it is a mounted volume.
        run_id: the name of the run's folder under `runs/`.
        config: `TrainingConfig.to_dict()`; its `search` names the settings to try.
    """
    run = {"home": home, "run_id": run_id}
    report_task = mount_home(report(**run, config=config)).set_caching_options(False)
    with dsl.ExitHandler(report_task):
        log = mount_home(ingest(**run, config=config)).set_caching_options(False).outputs["ingested"]
        tables = mount_home(build_features(**run, ingested=log)).outputs["features"]
        examples = mount_home(make_training_set(**run, ingested=log, features=tables)).outputs["training_set"]
        # A cached plan would leave no record in the run, by which the report knows a search.
        plan = mount_home(plan_trials(**run, config=config, ingested=log, features=tables)).set_caching_options(False)
        # The number of trials is known only when the pipeline runs, because the plan is a step's output.
        with dsl.ParallelFor(plan.outputs["Output"], name="trials", parallelism=PARALLELISM) as planned:
            inputs = {"training_set": examples, "catalogue": plan.outputs["catalogue"]}
            trial_task = mount_home(trial(**run, config=config, **inputs, planned=planned)).set_caching_options(False)
        trials = dsl.Collected(trial_task.output)
        mount_home(choose_trial(**run, config=config, trials=trials)).set_caching_options(False)
