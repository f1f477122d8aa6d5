import json
import struct

import numpy as np
import pytest

from worldmodels.dream.dials import Dials
from worldmodels.play.messages import TakeStep, Turn, as_bytes, as_json, parse
from worldmodels.play.session import Restart
from worldmodels.play.wheel import Wheel


def test_messages_become_what_they_ask_for():
    assert parse('{"do": "step", "x": -1, "y": 0.5}').wheel() == Wheel(-1.0, 0.5)
    assert parse('{"do": "step", "agent": true}') == TakeStep(agent=True) and TakeStep(agent=True).wheel() is None
    assert parse('{"do": "restart", "worlds": "both", "seed": 3}') == Restart("both", seed=3)
    turned = parse('{"do": "turn", "noise": "residual", "held": [[3, 1]], "pushed": [[0, -0.5]]}')
    assert isinstance(turned, Turn)
    assert turned.dials() == Dials(1.0, "residual", held={3: 1.0}, pushed={0: -0.5})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "JSON object"),
        ("{}", "do='None'"),
        ('{"do": ["step"]}', "choose step, restart"),
        ('{"do": "fly"}', "do='fly'"),
        ('{"do": "step", "speed": 1}', "speed"),
        ('{"do": "step", "x": NaN}', "step.x=nan"),
        ('{"do": "step", "x": 1e999}', "step.x=inf"),
        ('{"do": "step", "x": ' + "1" * 4000 + "}", "too large"),
        ('{"do": "step", "x": "1"}', "x='1'"),
        ('{"do": "step", "x": null}', "x: there is no value"),
        ('{"do": "step", "agent": 1}', "agent=1"),
        ('{"do": "step", "sees": "all"}', "sees='all'"),
        ('{"do": "restart", "worlds": "moon"}', "worlds='moon'"),
        ('{"do": "restart", "worlds": "real", "start": "here"}', "start='here'"),
        ('{"do": "restart", "seed": -1}', "seed=-1"),
        ('{"do": "turn", "noise": "pink"}', "noise='pink'"),
        ('{"do": "turn", "held": [[0]]}', "held"),
        ('{"do": "turn", "held": {"0": 1}}', "held"),
        ('{"do": "film", "fps": 0}', "fps=0"),
        ('{"do": "record"}', "on"),
        ('{"do": "swap", "part": "vision"}', "run"),
    ],
)
def test_what_is_no_message_is_refused_in_words(text, said):
    with pytest.raises(ValueError, match=said.replace("[", r"\[")):
        parse(text)


def test_frames_travel_behind_their_header():
    grey, colour = np.full((2, 3, 1), 7, np.uint8), np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    sent = as_bytes({"dream": {"reward": float("nan"), "step": 2}}, {"dream": grey, "real": colour})
    length = struct.unpack("<I", sent[:4])[0]
    header = json.loads(sent[4 : 4 + length])
    assert header == {"dream": {"reward": None, "step": 2}, "frames": [["dream", 2, 3], ["real", 2, 2]]}
    assert sent[4 + length :] == bytes([7] * 18) + colour.tobytes()
    assert as_json({"a": [1, 0.1234567, None, True]}) == '{"a": [1, 0.12346, null, true]}'
