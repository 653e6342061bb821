"""What the loop won back of the loss to a planted change, worked by hand."""

import pytest

from workloads.simulation.rivals.recovery import won_back, won_sentence

DRIFT = {"drift": "genre", "drift_day": 10}
PUSH = {"kind": "pushed"}
BEFORE = {"loop": 3.0, "frozen": 3.0}


def days(count, after, before=BEFORE):
    """Days with the rewards before the change, of which the oracle has 4, and those after it, of which it has 5."""
    return [
        {
            "day": day,
            "policies": {"oracle": 4.0, **before} if day < 10 else {"oracle": 5.0, **after},
            "actions": [PUSH] * (day % 10 == 1),
        }
        for day in range(count)
    ]


def test_the_loop_won_back_a_part_of_what_the_first_models_lost():
    # Of the oracle: 75 % before, 50 % by the first models after, 70 % by the loop: 20 of 25 points.
    result = won_back(days(40, {"loop": 3.5, "frozen": 2.5}), DRIFT)
    assert (result["lost"], result["won_back"]) == pytest.approx((0.25, 0.8))
    assert result["before"] == pytest.approx({"loop": 0.75, "frozen": 0.75})
    assert result["after"] == pytest.approx({"loop": 0.7, "frozen": 0.5})
    assert (result["days"], result["trainings"]) == (14, 3)  # after days 11, 21 and 31
    assert won_sentence(result) == (
        "After the change the first models went from 75.0% to 50.0% of the oracle's reward in the last 14 days. "
        "The loop won back 80% of this with 3 trainings: from 75.0% to 70.0%."
    )


def test_what_a_change_costs_a_site_is_counted_from_its_own_share_before_it():
    # The loop has 75 % before and 70 % after. The idle site has 65 % and 40 %: 25 points, of which the loop lost 5.
    before = {**BEFORE, "idle": 2.6, "daily": 3.2}
    after = {"loop": 3.5, "frozen": 3.25, "idle": 2.0, "daily": 4.0}
    result = won_back(days(40, after, before), DRIFT, "idle")
    assert (result["lost"], result["won_back"]) == pytest.approx((0.25, 0.8))
    assert result["others"] == pytest.approx({"frozen": 0.6, "daily": 1.0})
    said = won_sentence(result)
    assert said.startswith(
        "After the change the site idle, which trains nothing, went from 65.0% to 40.0% of the oracle's"
    )
    assert "The first models with the features of its pages won back 60%: from 75.0% to 65.0%." in said
    assert said.endswith("The site daily won back 100%: from 80.0% to 80.0%.")


def test_a_loop_that_lost_as_much_won_nothing_back():
    before, after = {**BEFORE, "loop": 3.6}, {"loop": 3.5, "frozen": 2.75}  # 90 to 70 %, and 75 to 55 %
    assert won_back(days(40, after, before), DRIFT)["won_back"] == pytest.approx(0)


def test_the_week_of_the_change_does_not_count():
    after = {"loop": 3.5, "frozen": 2.5}
    assert won_back(days(17, after), DRIFT) is None
    assert won_back(days(18, after), DRIFT)["days"] == 1
    assert won_back(days(18, after), {}) is None


def test_a_change_that_costs_nothing_has_nothing_to_win_back():
    result = won_back(days(30, {"loop": 4.0, "frozen": 4.0}), DRIFT)
    assert result["won_back"] is None
    assert (
        won_sentence(result)
        == "The change cost nothing: the first models went from 75.0% to 80.0% of the oracle's reward."
    )
