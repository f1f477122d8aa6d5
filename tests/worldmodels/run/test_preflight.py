import pytest

from tests.small import small_config
from worldmodels.errors import RunError
from worldmodels.run.preflight import check_plan


def test_a_plan_that_works(tmp_path):
    check_plan(small_config(), tmp_path / "run")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tracker": "trackoi"}, "tracker='trackoi': no such tracker; did you mean 'trackio'?"),
        ({"device": "cuda:77"}, "device='cuda:77': torch sees"),
        ({"env": {"size": 50}}, "env.size=50"),
        ({"env": {"crop": [100, 200]}}, "crop"),
        ({"env": {"options": {"size": 1000000}}}, "does not fit into memory"),
        ({"memory": {"batch": 100_000}}, "memory.batch=100000"),
        ({"vision": {"batch": 100_000}}, "vision.batch=100000"),
        ({"dream": {"warmup": 51}}, "dream.warmup=51"),
        ({"dream": {"min_steps_to_end": 49}}, "dream.min_steps_to_end=49"),
        ({"vision": {"options": {"width": 1_000_000}}}, "vision.options"),
        ({"memory": {"options": {"hidden": 10_000_000}}}, "memory.options"),
        ({"controller": {"type": "mlp", "layers": [400, 400]}}, "take evolve.optimiser.type=sep-cma"),
        ({"executor": {"type": "ray", "workers": 100_000}}, "executor.workers=100000"),
        ({"evaluate": {"env": "Nowhere-v0"}}, "evaluate.env=Nowhere-v0"),
        ({"evolve": {"start": "nowhere"}}, "evolve.start=nowhere"),
        ({"vision": {"start": "nowhere"}}, "vision.start=nowhere"),
        ({"memory": {"start": "nowhere"}}, "memory.start=nowhere"),
        ({"collect": {"extends": "nowhere"}}, "collect.extends=nowhere"),
        ({"collect": {"policies": ["agent"], "agent": "nowhere"}}, "collect.agent=nowhere"),
        ({"collect": {"agent": "nowhere"}}, "collect.agent=nowhere"),
        ({"accuracy": {"histories": ["nowhere"]}}, "accuracy.histories"),
    ],
)
def test_what_cannot_work_is_refused_by_name(changes, message):
    with pytest.raises(RunError) as caught:
        check_plan(small_config(**changes))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunError, match="is a file"):
            check_plan(small_config(), path)
