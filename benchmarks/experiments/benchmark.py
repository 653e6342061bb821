"""`segue bench experiments`: whether experiments can be trusted, beside named peers, in one run."""

from typing import Any

import numpy as np

from benchmarks.experiments import arms, errors, rankers, scorecards, world
from benchmarks.experiments.listeners import true_difference
from benchmarks.results import Say, machine, target
from experiments.statistics import sequential
from experiments.statistics.cuped import adjusted_effect
from experiments.statistics.effects import Sums

LEAST_ROWS = 10_000_000  # of a log whose speed and memory are targets; on less, the start of both weighs too much
PEER_SHARES = np.arange(1, 15) / 14


def run(tests: int, rows: int, say: Say, seed: int = 0) -> dict[str, Any]:
    """Simulate A/A and A/B tests, compare with the peers, and time a scorecard.

    Args:
        tests: Number of tests of each kind.
        rows: Exposed rows of the scorecard's log; 0 leaves the comparison out.
        say: Prints progress.
        seed: Seed of everything.

    Returns:
        `aa`, `world_aa` and `ab` (the share of tests that each method finds, the coverage and the reduction of
        variance, of simulated listeners, the world's and those with a planted lift), `planned`
        (the planted lift and its computed power), `sample_ratio`, `interleaving`, `peers`, `scorecard`,
        `page_cpu_ms` (what three experiments cost the gateway), `targets`, `machine`.

    Raises:
        SegueError: A contestant of the scorecard failed.
    """
    lift = errors.planned_lift(seed + 1)
    say(f"{tests:,} A/A tests with {errors.DAYS} daily looks")
    aa = errors.found(errors.trials(tests, 0.0, seed), 0.0)
    say(f"{tests:,} A/A tests on the pages of the synthetic world")
    world_aa = errors.found(world.trials(tests, seed), 0.0)
    say(f"{tests:,} A/B tests with a planted lift of {lift:.3f} logit")
    ab = errors.found(errors.trials(tests, lift, seed + 2), true_difference(lift))
    say("sample ratios, interleaving and peers")
    ratios = errors.sample_ratios(tests, seed + 3)
    interleaving = rankers.speed_up(4000, seed + 4)
    peers = {
        "tea_tasting_difference": tea_tasting_difference(seed),
        "spotify_confidence_difference": spotify_difference(),
    }
    scorecard = scorecards.compare(rows, seed, say) if rows else None
    return {
        "tests": tests,
        "aa": aa,
        "world_aa": world_aa,
        "ab": ab,
        "planned": {"lift": lift, "power": errors.POWER},
        "sample_ratio": ratios,
        "interleaving": interleaving,
        "peers": peers,
        "scorecard": scorecard,
        "page_cpu_ms": arms.milliseconds_of_a_page(),
        "targets": targets(tests, {"aa": aa, "world_aa": world_aa}, ab, ratios, peers, scorecard),
        "machine": machine("duckdb", "numpy", "pandas", "spotify-confidence", "tea-tasting"),
    }


def targets(
    tests: int,
    without_effect: dict[str, dict[str, float]],
    ab: dict[str, float],
    ratios: dict[str, float],
    peers: dict[str, float],
    scorecard: dict[str, Any] | None,
) -> dict[str, dict[str, Any]]:
    """The targets of a run. An error holds 5 % if its 95 % interval does not lie above 5 %."""
    limits = {}
    for kind, shares in without_effect.items():
        for name in ("obrien_fleming", "pocock", "always_valid"):
            limits[f"{kind}_{name}_error_lower_end"] = target(errors.lower(shares[name], tests), at_most=errors.ALPHA)
        for name in ("peeked", "rows"):
            limits[f"{kind}_{name}_error_of_the_wrong_test"] = target(shares[name], at_least=0.15)
    limits["power_gap"] = target(abs(ab["obrien_fleming"] - errors.POWER), at_most=0.04)
    for name, shares in (*without_effect.items(), ("ab", ab)):
        limits[f"{name}_coverage_least"] = target(shares["interval_covers"], at_least=0.936)
        limits[f"{name}_coverage_most"] = target(shares["interval_covers"], at_most=0.964)
    limits["sample_ratio_found"] = target(ratios["lost"], at_least=0.9)
    limits["sample_ratio_false_alarms"] = target(ratios["fair"], at_most=0.01)
    limits["tea_tasting_difference"] = target(peers["tea_tasting_difference"], at_most=1e-9)
    limits["spotify_confidence_difference"] = target(peers["spotify_confidence_difference"], at_most=1e-4)
    if scorecard is not None:
        limits["scorecard_different_from_pandas"] = target(scorecard["largest_difference"], at_most=1e-6)
        if scorecard["rows"] >= LEAST_ROWS:
            limits["scorecard_speedup"] = target(scorecard["speedup"], at_least=5)
            limits["scorecard_memory_ratio"] = target(scorecard["memory_ratio"], at_most=0.5)
    return limits


def tea_tasting_difference(seed: int) -> float:
    """Return the largest distance of a ratio metric with CUPED from tea-tasting's effect, interval, lift, p-value."""
    import pyarrow as pa
    import tea_tasting

    test = errors.trial(3000, 7, 0.05, np.random.default_rng(seed))
    control, treatment = test.at(6)
    everyone: Sums = control + treatment
    arm = np.repeat([0, 1], [len(control.numerator), len(treatment.numerator)])
    columns = {"x": everyone.numerator, "y": everyone.denominator}
    assert everyone.before_numerator is not None
    assert everyone.before_denominator is not None
    columns |= {"px": everyone.before_numerator, "py": everyone.before_denominator}
    metric = tea_tasting.RatioOfMeans("x", "y", "px", "py", use_t=False)
    peer = tea_tasting.Experiment(m=metric).analyze(pa.table({"variant": arm, **columns}))["m"]
    ours = adjusted_effect(control, treatment)[0]
    pairs = [
        (ours.difference, peer.effect_size),
        (ours.interval(errors.FIXED)[0], peer.effect_size_ci_lower),
        (ours.lift, peer.rel_effect_size),
        (ours.lift_interval(errors.FIXED)[1], peer.rel_effect_size_ci_upper),
        (ours.p, peer.pvalue),
    ]
    return float(max(abs(mine - theirs) for mine, theirs in pairs))


def spotify_difference() -> float:
    """Return the largest distance of the bounds of 14 looks from spotify-confidence's, which spends alpha t^2."""
    from spotify_confidence.analysis.frequentist.sequential_bound_solver import bounds

    ours = sequential.bounds(PEER_SHARES, sequential.power_family(2), errors.ALPHA / 2)
    return float(np.abs(ours - bounds(PEER_SHARES, errors.ALPHA, 2, 8, 2).bounds).max())
