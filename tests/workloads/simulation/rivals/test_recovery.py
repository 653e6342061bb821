"""What the loop won back of the loss to a planted change, worked by hand."""

import pytest

from workloads.simulation.rivals.recovery import won_back, won_sentence

DRIFT = {"drift": "genre", "drift_day": 10}
PUSH = {"kind": "pushed"}


def days(count, **after):
    """Days of which the loop has 3 of 4 before the change, and then what it is said to have."""
    before = {"loop": 3.0, "frozen": 3.0, "oracle": 4.0}
    return [
        {"day": day, "policies": before if day < 10 else {"oracle": 5.0, **after}, "actions": [PUSH] * (day % 10 == 1)}
        for day in range(count)
    ]


def test_the_loop_won_back_a_part_of_what_the_first_models_lost():
    # Of the oracle: 75 % before, 50 % by the first models after, 70 % by the loop: 20 of 25 points.
    result = won_back(days(40, loop=3.5, frozen=2.5), DRIFT)
    assert (result["before"], result["lost"], result["won_back"]) == pytest.approx((0.75, 0.25, 0.8))
    assert result["shares"] == pytest.approx({"loop": 0.7, "frozen": 0.5})
    assert (result["days"], result["trainings"]) == (14, 3)  # after days 11, 21 and 31
    assert "from 75.0% of the oracle's reward to 50.0% by the first models." in won_sentence(result)
    assert "won back 80% of the loss with 3 trainings: 70.0%" in won_sentence(result)


def test_with_a_site_that_trains_nothing_the_loss_is_its_own():
    # Of the oracle: 75 % before, 50 % there after, 70 % by the loop, 65 % by its first models, 75 % by daily trainings.
    result = won_back(days(40, loop=3.5, frozen=3.25, idle=2.5, daily=3.75), DRIFT, "idle")
    assert (result["lost"], result["won_back"]) == pytest.approx((0.25, 0.8))
    assert result["others"] == pytest.approx({"frozen": 0.6, "daily": 1.0})
    said = won_sentence(result)
    assert "to 50.0% by the site idle, which trains nothing. The loop won back 80% of the loss" in said
    assert "The first models, with the features of its pages, won back 60%: 65.0%." in said
    assert said.endswith("The site daily won back 100%: 75.0%.")


def test_the_week_of_the_change_does_not_count():
    assert won_back(days(17, loop=3.5, frozen=2.5), DRIFT) is None
    assert won_back(days(18, loop=3.5, frozen=2.5), DRIFT)["days"] == 1
    assert won_back(days(18, loop=3.5, frozen=2.5), {}) is None


def test_a_change_that_costs_nothing_has_nothing_to_win_back():
    result = won_back(days(30, loop=4.0, frozen=4.0), DRIFT)
    assert result["won_back"] is None
    assert "cost nothing" in won_sentence(result)
