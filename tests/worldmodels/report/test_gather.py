"""What the report makes of the facts that training stages left."""

from worldmodels.report.gather import memory_measures, vision_measures


def test_a_memory_is_measured_as_far_as_it_can_be():
    facts = {"nll": -0.9, "nll_persistence": -0.4, "nll_shuffled_action": -0.7, "reward_explained": "n/a"}
    known = memory_measures(facts | {"termination_auroc": 0.75, "termination_auprc": "n/a"})
    assert known["baseline: persistence"] == -0.4 and known["reward, explained variance"] is None
    assert known["termination, AUROC"] == 0.75 and "termination, AUPRC" not in known
    assert memory_measures(facts)["termination"] is None and set(memory_measures({}).values()) == {None}


def test_the_car_is_measured_where_there_is_one():
    facts = {"squared_error": 9.0, "baseline_squared_error": 31.0}
    assert vision_measures(facts) == {"held-out frames": 9.0, "baseline: the mean frame": 31.0}
    assert vision_measures({**facts, "car_error": 2.0, "car_baseline_error": 5.0})["around the car, held out"] == 2.0
    assert set(vision_measures({}).values()) == {None}
