"""The search pipeline: trials of a model's settings, judged on the validation span."""

from kfp import dsl

from components.build_features import build_features
from components.ingest import ingest
from components.make_training_set import make_training_set
from components.report import report
from components.search.choose_trial import choose_trial
from components.search.plan_trials import plan_trials
from components.search.trial import trial
from pipelines.placement import place_steps

PARALLELISM = 1  # the training of one trial uses all cores of a small machine


@dsl.pipeline(name="search", description="Random search over a model's settings; nothing is pushed.")
def search(config: dict):
    """Try settings of one model and write the best settings to a configuration for a training run.

    Args:
        config: `TrainingConfig.to_dict()`; its `search` names the settings to try.
    """
    report_task = report(config=config)
    with dsl.ExitHandler(report_task):
        log = ingest(config=config).outputs["ingested"]
        tables = build_features(ingested=log).outputs["features"]
        examples = make_training_set(ingested=log, features=tables).outputs["training_set"]
        plan = plan_trials(config=config, ingested=log, features=tables)
        # The number of trials is known only when the pipeline runs, because the plan is a step's output.
        with dsl.ParallelFor(plan.outputs["Output"], name="trials", parallelism=PARALLELISM) as planned:
            inputs = {"training_set": examples, "catalogue": plan.outputs["catalogue"]}
            trial_task = trial(config=config, **inputs, planned=planned)
        trials = dsl.Collected(trial_task.output)
        choose_trial(config=config, trials=trials)
    place_steps()
