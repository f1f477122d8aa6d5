"""Stage 6: film the agent driving in its dream beside a real drive, and what its memory predicts of that drive.

dream/dream.webm                    a real drive | the agent in its dream, dream after dream
dream/prediction.webm  strip.png    real | reconstruction | prediction from the same actions; its beginning is marked
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from envs import EnvConfig, make_env
from envs.car_racing import CarRacing, shows_road
from generative import resolve_device
from generative.capabilities import Decodes, refusal
from generative.core.facts import Facts
from generative.report.images import as_rgb, captioned, outlined, side_by_side, write_png
from generative.report.video import write_webm
from worldmodels.agent.build import env_shape
from worldmodels.agent.trained import dreaming_memory, load_bundle, load_vision
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.film import (
    DREAMS,
    PREDICTED_FRAMES,
    STEPS,
    TRACK,
    Dream,
    PredictedFrames,
    RealDrive,
    Scene,
    decode,
    dream_drives,
    drive,
    first,
    predict,
    reel,
    shown,
)
from worldmodels.dream.of_run import load_starts
from worldmodels.run.folder import Progress, Run
from worldmodels.vision.contract import DecodingVision

PARTS = 4
"""Parts of the work: dreams, real drive, film, prediction."""

WATCHED, PREDICTED = 4, 8
"""Moments in the still picture."""

HOLD = 0.6
"""Seconds for which the end of a dream stays."""

OVER, OPEN = (230, 120, 0), (200, 30, 120)
"""Colours around the last frame of a dream, and around what is predicted."""

ENDS = {"termination": "terminated", "no reward": "no reward", "horizon": "time is up"}
"""What is said of the end of a dream."""


def dream(run: Run) -> Iterator[Progress]:
    """Write both films and yield the progress in steps.

    Of a loop it is the dream of the chosen round, with that round's settings.
    """
    run.require("train-vision", "train-memory", "evolve")
    dreamt = run.learnt.dream
    with run.working("dream"):
        bundle, parameters, _ = load_bundle(run)
        device = resolve_device(run.config.device)
        vision = bundle.load_vision().to(device).eval()
        if reason := refusal(vision, "decode"):
            run.finish("dream", {"steps": 0, "not_filmed": f"no film: {reason}"})
            yield _progress(PARTS)
            return
        assert isinstance(vision, DecodingVision)
        yield _progress(0)
        memory, starts = dreaming_memory(run, load_vision(run), bundle.spec).eval(), load_starts(run)
        memory.to(device)
        cost = run.learnt.evolve.action_cost
        dreams = dream_drives(bundle, parameters, memory, starts, dreamt, DREAMS, cost, device)
        facts = dream_facts(dreamt, dreams) | {"road_share": road_share(bundle.env, vision, dreams)}
        yield _progress(1)
        fps = env_shape(bundle.env).fps
        every = max(1, round(fps / 25))  # more frames a second than 25 are not shown
        filmed = shown(dreams, STEPS)
        scenes = list(reel(filmed, round(HOLD * fps)))
        watched = PREDICTED_FRAMES // bundle.env.action_repeat
        real = drive(bundle, parameters, TRACK, max(len(scenes), watched))
        yield _progress(2)
        folder = run.folder("dream")
        run.reopen("dream")
        write_webm(folder / "dream.webm", dream_panels(vision, filmed, scenes, real, every), fps / every)
        yield _progress(3)
        prediction = predict(vision, memory, first(real, watched), device)
        write_webm(folder / "prediction.webm", prediction_panels(prediction, real), fps)
        write_png(folder / "strip.png", strip(prediction, real))
        facts |= {"steps": len(scenes), "filmed": len(filmed), "track": TRACK}
        facts |= {"watched": prediction.context, "predicted": len(prediction.frames) - 1 - prediction.context}
        run.finish("dream", facts)
        yield _progress(PARTS)


def _progress(part: int) -> Progress:
    """Return how far the work is after so many of its parts, in steps of the film."""
    return Progress("dream", STEPS * part // PARTS, STEPS, "steps")


def dream_facts(config: DreamConfig, dreams: Sequence[Dream]) -> Facts:
    """Return how dreams went: how many, their mean return, how they ended, and what their noise was."""
    return {
        "dreams": len(dreams),
        "mean_return": _known(float(np.mean([each.gained for each in dreams]))),
        "mean_score": _known(float(np.mean([each.score for each in dreams]))),
        "mean_steps": float(np.mean([len(each.reward) for each in dreams])),
        "ends": dict(Counter(each.end for each in dreams)),
        "noise": config.noise,
        "temperature": config.temperature,
        "horizon": config.horizon,
    }


def road_share(env: EnvConfig, vision: Decodes, dreams: Sequence[Dream]) -> float | None:
    """Return the share of all dreamt frames that show road; None where the environment is no CarRacing.

    The frame that a dream begins with is a real one, and does not count.
    """
    world = make_env(env)
    base = world.unwrapped
    known = isinstance(base, CarRacing) and base.usual_colours
    world.close()
    if not known:
        return None
    return float(np.concatenate([shows_road(decode(vision, each.z[1:])) for each in dreams]).mean())


def _known(reward: float) -> float | None:
    """Return a reward, or None where the memory has no reward head."""
    return reward if np.isfinite(reward) else None


def dream_panels(
    vision: Decodes,
    dreams: Sequence[Dream],
    scenes: Sequence[Scene],
    real: RealDrive,
    every: int = 1,
    scale: int = 4,
    text: float = 0.5,
) -> Iterator[np.ndarray]:
    """Yield the film: the real drive, and the dream; the last frame of a dream is outlined.

    Args:
        vision: decodes the dreams.
        dreams: to show.
        scenes: of them, in order.
        real: the drive.
        every: how many scenes there are to a frame of the film.
        scale: of the pictures.
        text: size of the letters.
    """
    frames = [as_rgb(decode(vision, each.z)) for each in dreams]
    driven, dreamt = np.cumsum([0.0, *real.reward]), [np.cumsum([0.0, *each.reward.tolist()]) for each in dreams]
    for time in range(0, len(scenes), every):
        scene = scenes[time]
        title, picture = f"dream {scene.dream + 1} of {len(dreams)}", frames[scene.dream][scene.step]
        if scene.over:
            title, picture = f"{title}: {ENDS[dreams[scene.dream].end]}", outlined(picture, OVER)
        now = min(time, len(real.reward))  # when the real drive is over, its last frame stays
        over = ": over" if real.ended and now == len(real.reward) else ""
        labels = [
            f"real drive{over}\n{_counted(now, driven)}",
            f"{title}\n{_counted(scene.step, dreamt[scene.dream])}",
        ]
        yield side_by_side([as_rgb(real.frames[now]), picture], labels, scale, text)


def _counted(step: int, returns: np.ndarray) -> str:
    gained = f", return {returns[step]:.0f}" if np.isfinite(returns[step]) else ""
    return f"step {step}{gained}"


def prediction_panels(prediction: PredictedFrames, real: RealDrive) -> Iterator[np.ndarray]:
    """Yield the film of the prediction, which is outlined: real, reconstruction, prediction."""
    ahead = len(prediction.frames) - 1 - prediction.context
    for step in range(len(prediction.frames)):
        columns = [as_rgb(part[step]) for part in (real.frames, prediction.reconstructions, prediction.frames)]
        label = f"memory watches\nprediction in {prediction.context - step + 1}"
        if step > prediction.context:
            columns[2], label = outlined(columns[2], OPEN), f"prediction\n{step - prediction.context} of {ahead} steps"
        yield side_by_side(columns, ["real\n", "reconstruction\n", label])


def strip(prediction: PredictedFrames, real: RealDrive) -> np.ndarray:
    """Return moments of the prediction in columns, real above reconstruction above prediction, with a mark between.

    Columns are evenly spaced in what is watched and in what is predicted, and named by steps from the last frame seen.
    """
    context, last = prediction.context, len(prediction.frames) - 1
    watched = np.linspace(max(0, context - (last - context)), context, WATCHED).round()
    predicted = np.linspace(context, last, PREDICTED + 1)[1:].round()
    columns, labels = [], []
    for step in (int(step) for step in np.unique([*watched, *predicted])):
        rows = [as_rgb(part[step]) for part in (real.frames, prediction.reconstructions, prediction.frames)]
        if step > context:
            rows[2] = outlined(rows[2], OPEN)
        columns.append(np.concatenate(rows))
        labels.append(f"{step - context:+d}" if step != context else "last seen")
        if step == context:
            columns.append(np.full((len(columns[-1]), 2, 3), OPEN, np.uint8))
            labels.append("")
    return captioned(
        side_by_side(columns, labels, scale=2),
        "Above: real. Middle: its reconstruction. Below: after the line, what the memory predicts, given the actions "
        f"alone: {last - context} steps, without noise.",
    )
