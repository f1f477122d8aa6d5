"""The accuracy card: how well a world model predicts, on tracks that neither it nor its controller has seen.

Each file of `measures` measures one thing on one set of held-out episodes (`data.HeldOut`) and returns plain data;
`card` puts them together, `page` shows them. What cannot be measured says why: `{"skipped": reason}`.

    reconstruction   vision alone
    one_step         likelihood of the next latent, compared with simple guesses; action sensitivity
    calibration      where the truth falls in the predicted densities
    open_loop        dreams with the recorded actions, by horizon, in latent and pixel space
    reward_and_end   the heads
    probes           what (z, h) knows of the simulator's true state, and dreams seen through that
    agreement        whether dream and real return rank controllers alike

Intervals are 95 % bootstrap intervals over episodes (over controllers in `agreement`).
"""

from worldmodels.accuracy.config import AccuracyConfig, CardConfig

__all__ = ["AccuracyConfig", "CardConfig"]
