"""CarRacing's scene, drawn with OpenCV on a canvas of twice the observation's size.

The world of one track is a single array of quads in drawing order. A frame picks the visible ones, maps them
to the canvas with one matrix product and fills them one by one. "Window" pixels are those of gymnasium's
1000 x 800 window, which shows the car in the middle of its lower half; there y goes up, on the canvas down.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
from gymnasium.envs.box2d import car_dynamics, car_racing
from gymnasium.envs.box2d.car_racing import PLAYFIELD, SCALE, STATE_H, STATE_W, WINDOW_H, WINDOW_W, ZOOM

BAR_H = WINDOW_H // 8  # height of the bar of indicators, which covers the scene's lower end; window pixels
SCENE_H = STATE_H - STATE_H // 8  # rows of the observation above the bar
OVERSAMPLING = 2  # canvas pixels per pixel of the observation, along each axis

# OpenCV takes integer vertices in units of 2 ** -SHIFT pixels; (0, 0) is the centre of the first pixel.
SHIFT = 4
UNIT_X = STATE_W / WINDOW_W * OVERSAMPLING * 2**SHIFT  # such units per window pixel
UNIT_Y = STATE_H / WINDOW_H * OVERSAMPLING * 2**SHIFT
HALF_PIXEL = 2 ** (SHIFT - 1)
LINE = cv2.LINE_8

# OpenCV fills a polygon and its outline, which is a canvas pixel wide, so that shapes grow by half a canvas
# pixel. Gymnasium's grow too, but less. So each polygon is drawn smaller by this much, in window pixels. The
# amounts minimise the mean difference to gymnasium's frames.
WORLD_INSET = 1.6
CAR_INSET = 2.0

CAR_X, CAR_Y = WINDOW_W / 2, WINDOW_H / 4  # where the window shows the car, from its lower left corner
MIDDLE_Y = (WINDOW_H + BAR_H) / 2  # the middle of the scene above the bar
REACH = math.hypot(CAR_X, WINDOW_H - CAR_Y)  # no visible point is farther from the car, window pixels
# The car on the canvas, and a half for rounding.
ORIGIN_X = CAR_X * UNIT_X - HALF_PIXEL + 0.5
ORIGIN_Y = (WINDOW_H - CAR_Y) * UNIT_Y - HALF_PIXEL + 0.5

WHEEL_W = car_dynamics.WHEEL_W * car_dynamics.SIZE
WHEEL_R = car_dynamics.WHEEL_R * car_dynamics.SIZE
TURN = 2 * math.pi
STEPS = 32  # steps per radian of steering and per turn of a wheel; finer ones look the same
# Right half of the outline around car_dynamics.HULL_POLY1 to 4, from back to front; the left one mirrors it.
HULL_RIGHT: list[tuple[float, float]] = [(50, -120), (50, -90), (20, -90), (50, -40), (50, -10)]
HULL_RIGHT += [(25, 20), (20, 20), (15.5, 110), (60, 110), (60, 130)]
HULL = np.array(HULL_RIGHT + [(-x, y) for x, y in reversed(HULL_RIGHT)], dtype=np.float64)
HULL_COLOR = (204, 0, 0)


def inward(polygons: np.ndarray) -> np.ndarray:
    """Displacement of each vertex that moves all edges of the polygons (P, vertices, 2) inwards by 1."""
    edge = np.roll(polygons, -1, axis=1) - polygons  # leaves the vertex
    edge = edge / np.maximum(np.linalg.norm(edge, axis=2, keepdims=True), 1e-9)
    before = np.roll(edge, 1, axis=1)
    turn = (before[..., 0] * edge[..., 1] - before[..., 1] * edge[..., 0]).sum(axis=1)  # > 0: anticlockwise
    normals = np.stack([-edge[..., 1] - before[..., 1], edge[..., 0] + before[..., 0]], axis=2)
    cosine = (edge * before).sum(axis=2, keepdims=True)
    return np.sign(turn)[:, None, None] * normals / np.maximum(1 + cosine, 0.2)


class DrawnWorld:
    """Playfield, grass, road and kerbs of an env's track: quads in drawing order, and their colours.

    In metres, `vertices` (quads, 4, 5) has rows (x, y, inward x, inward y, 1), `centres` (3, quads) columns
    (x, y, 1). `colors` (quads, 3) is shared with the env's tiles, which wheels repaint when they touch them.
    """

    def __init__(self, env: car_racing.CarRacing) -> None:
        corners = np.array([[1, 0], [0, 0], [0, 1], [1, 1]])
        field = PLAYFIELD * (2.0 * corners[None] - 1)
        squares = 2 * np.stack(np.divmod(np.arange(400), 20), axis=1) - 20  # lower left corners, (400, 2)
        grass = car_racing.GRASS_DIM * (squares[:, None] + corners)
        polygons, road_colors = zip(*env.road_poly, strict=True)
        quads = np.concatenate([field, grass, np.array(polygons)])
        ones = np.ones((len(quads), 4, 1))
        self.vertices = np.concatenate([quads, inward(quads), ones], axis=2)
        centres = quads.mean(axis=1)
        self.centres = np.concatenate([centres.T, ones[None, :, 0, 0]]).astype(np.float32)
        self.radius = np.linalg.norm(quads - centres[:, None], axis=2).max(axis=1).astype(np.float32)
        self.radius[0] = np.inf  # the playfield is always in sight
        self._limits, self._limits_at = self.radius, 0.0
        canvas_shape = (SCENE_H * OVERSAMPLING, STATE_W * OVERSAMPLING, 3)
        self.playfield_only = np.full(canvas_shape, env.bg_color.astype(np.uint8), dtype=np.uint8)

        ground_colors = [env.bg_color, *[env.grass_color] * len(grass)]
        self.colors = np.array([*ground_colors, *road_colors], dtype=np.float64)
        shared = list(self.colors[len(ground_colors) :])  # views, so that repainting a tile changes `colors`
        view_of = {id(color): view for color, view in zip(road_colors, shared, strict=True)}
        assert env.road is not None
        for tile in env.road:
            tile.color = view_of[id(tile.color)]
        env.road_poly = list(zip(polygons, shared, strict=True))

    def limits(self, zoom: float) -> np.ndarray:
        """How far from the middle of the scene, along its axes, quads are still in sight; (2, quads)."""
        if zoom != self._limits_at:  # the zoom is constant after the first second
            half_window = np.array([[WINDOW_W / 2], [WINDOW_H - MIDDLE_Y]], dtype=np.float32)
            self._limits, self._limits_at = half_window / zoom + self.radius, zoom
        return self._limits


class Camera:
    """The map from the world to the canvas at one moment: it follows and turns with the car."""

    def __init__(self, x: float, y: float, angle: float, t: float) -> None:
        # Window pixels per metre; the first second zooms in.
        self.zoom = 0.1 * SCALE * max(1 - t, 0) + ZOOM * SCALE * min(t, 1)
        self.far_from_border = max(abs(x), abs(y)) + REACH / self.zoom < PLAYFIELD
        cos, sin = math.cos(angle), math.sin(angle)
        # A point p of the world is at (p_x * xx + p_y * yx + x0, p_x * xy + p_y * yy + y0) on the canvas.
        self.xx, self.yx = self.zoom * UNIT_X * cos, self.zoom * UNIT_X * sin
        self.xy, self.yy = self.zoom * UNIT_Y * sin, -self.zoom * UNIT_Y * cos
        self.x0, self.y0 = ORIGIN_X - x * self.xx - y * self.yx, ORIGIN_Y - x * self.xy - y * self.yy
        # The same without scaling, metres from the middle of the scene: columns for x, y and 1.
        ahead = (MIDDLE_Y - CAR_Y) / self.zoom
        self.turn = ((cos, sin, -x * cos - y * sin), (-sin, cos, x * sin - y * cos - ahead))

    def visible(self, world: DrawnWorld) -> np.ndarray:
        """Indices of the quads of `world` that may be in sight, in drawing order."""
        near = np.abs(np.array(self.turn, dtype=np.float32) @ world.centres) < world.limits(self.zoom)
        return (near[0] & near[1]).nonzero()[0]

    def project(self, world: DrawnWorld, quads: np.ndarray) -> np.ndarray:
        """The quads with the given indices on the canvas, (quads, 4, 2) int32."""
        inset = WORLD_INSET / self.zoom
        xx, xy, yx, yy = self.xx, self.xy, self.yx, self.yy
        matrix = ((xx, xy), (yx, yy), (inset * xx, inset * xy), (inset * yx, inset * yy), (self.x0, self.y0))
        rows = world.vertices[quads].reshape(-1, 5)
        return (rows @ np.array(matrix)).astype(np.int32).reshape(-1, 4, 2)


def draw_world(world: DrawnWorld, camera: Camera) -> np.ndarray:
    """A new canvas with all but the car."""
    quads = camera.visible(world)
    if camera.far_from_border:  # the playfield is all there is to see, and copying is faster than filling
        canvas, quads = world.playfield_only.copy(), quads[1:]
    else:
        canvas = np.zeros_like(world.playfield_only)
    colors = world.colors[quads].astype(np.int32).tolist()
    fill = cv2.fillConvexPoly
    for quad, color in zip(camera.project(world, quads), colors, strict=True):
        fill(canvas, quad, tuple(color), LINE, SHIFT)  # a list or keywords would double the time
    return canvas


def draw_car(canvas: np.ndarray, car: car_dynamics.Car, camera: Camera) -> None:
    """Wheels, the stripes on them that show their rotation, and the hull on top.

    The camera follows the hull, and the joints hold the wheels in place to a hundredth of a pixel. So the
    car looks the same but for the steering and rotation of its wheels, and its polygons can be cached.
    """
    tyres, stripes = [], []
    for place, wheel in enumerate(car.wheels):
        phase = float(wheel.phase)  # a NumPy number, whose arithmetic is slow
        steering, rotation = round(wheel.joint.angle * STEPS), round(phase / TURN * STEPS) % STEPS
        tyre, stripe = wheel_on_canvas(camera.zoom, place, steering, rotation)
        tyres.append(tyre)
        stripes += stripe
    cv2.fillPoly(canvas, tyres, car_dynamics.WHEEL_COLOR, LINE, SHIFT)
    cv2.fillPoly(canvas, stripes, car_dynamics.WHEEL_WHITE, LINE, SHIFT)
    cv2.fillPoly(canvas, hull_on_canvas(camera.zoom), HULL_COLOR, LINE, SHIFT)


@lru_cache(maxsize=8192)
def wheel_on_canvas(zoom: float, place: int, steering: int, rotation: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """A wheel and the stripe on it, if in sight; `steering` and `rotation` in STEPS a radian and a turn."""
    inset = CAR_INSET / zoom
    half_w, half_r = WHEEL_W - inset, WHEEL_R - inset
    cos, sin = math.cos(steering / STEPS), math.sin(steering / STEPS)
    centre = np.array(car_dynamics.WHEELPOS[place]) * car_dynamics.SIZE

    def box(low: float, high: float) -> np.ndarray:
        corners = np.array([(-half_w, low), (half_w, low), (half_w, high), (-half_w, high)])
        return on_canvas(corners @ ((cos, sin), (-sin, cos)) + centre, zoom)

    low, high = stripe_ends(rotation / STEPS * TURN)
    margin = min(inset, (high - low) / 2)
    return box(-half_r, half_r), [box(low + margin, high - margin)] if low < high else []


def stripe_ends(phase: float) -> tuple[float, float]:
    """Where the stripe of a wheel turned by `phase` begins and ends along it, metres; (0, 0) if hidden."""
    sin_1, sin_2 = math.sin(phase), math.sin(phase + 1.2)
    if sin_1 > 0 and sin_2 > 0:
        return 0.0, 0.0
    end_1, end_2 = math.cos(phase), math.cos(phase + 1.2)
    if sin_1 > 0:  # this end is below, so the visible part reaches to the rim
        end_1 = math.copysign(1.0, end_1)
    if sin_2 > 0:
        end_2 = math.copysign(1.0, end_2)
    return WHEEL_R * min(end_1, end_2), WHEEL_R * max(end_1, end_2)


@lru_cache(maxsize=64)
def hull_on_canvas(zoom: float) -> list[np.ndarray]:
    """The outline of the hull."""
    outline = HULL * car_dynamics.SIZE
    return [on_canvas(outline + CAR_INSET / zoom * inward(outline[None])[0], zoom)]


def on_canvas(points: np.ndarray, zoom: float) -> np.ndarray:
    """Points fixed to the hull (P, 2), in metres, on the canvas."""
    return (points * (zoom * UNIT_X, -zoom * UNIT_Y) + (ORIGIN_X, ORIGIN_Y)).astype(np.int32)
