"""Choose trial: the best of a search, as a configuration to train with."""

from components.base import component


@component
def choose_trial(home: str, run_id: str, config: dict, trials: list) -> dict:
    """Compare the trials and write `search.json` and `best.yaml` into the run's folder."""
    from components.step import step

    with step(home, run_id, "choose-trial") as result:
        import yaml

        from models.config import TrainingConfig
        from models.search import best_configuration, summary
        from segue.files import write_json, write_text
        from segue.settings import Home
        from serving.registry import log_best

        place = Home.at(home)
        run = place.run(run_id)
        settings = TrainingConfig.from_dict(config)
        found = summary(settings, trials)
        best = found["best"]
        write_json(run / "search.json", found)
        write_text(run / "best.yaml", yaml.safe_dump(best_configuration(settings, best["values"]), sort_keys=False))
        figures = {found["metric"]: best["objective"]}
        reports = [run / "search.json", run / "best.yaml"]
        log_best(place.tracking_uri, trials[0]["search"], best["values"], figures, reports)
        result.update(found)
        return best
