"""CarRacing's scene, drawn with OpenCV on a canvas of twice the observation's size.

The world of one track is a single array of quads in drawing order. A frame picks the visible ones, maps them to the
canvas with one matrix product and fills them one by one. Sizes: "window" pixels are those of gymnasium's 1000 x 800
window, which shows the car in the middle of its lower half; canvas coordinates are OpenCV's, with y downwards.
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

# OpenCV fills a polygon and its outline, which is a canvas pixel wide, so that shapes grow by half a canvas pixel.
# Gymnasium's grow too, but less. So each polygon is drawn smaller by this much, in window pixels. The amounts
# minimise the mean difference to gymnasium's frames.
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
HULL_COLOR = (204, 0, 0)


def inward(polygons: np.ndarray) -> np.ndarray:
    """Displacement of each vertex that moves all edges of convex polygons (P, vertices, 2) inwards by 1."""
    edge = np.roll(polygons, -1, axis=1) - polygons  # leaves the vertex
    edge = edge / np.maximum(np.linalg.norm(edge, axis=2, keepdims=True), 1e-9)
    before = np.roll(edge, 1, axis=1)
    turn = (before[..., 0] * edge[..., 1] - before[..., 1] * edge[..., 0]).sum(axis=1)  # > 0: counter-clockwise
    normals = np.stack([-edge[..., 1] - before[..., 1], edge[..., 0] + before[..., 0]], axis=2)
    cosine = (edge * before).sum(axis=2, keepdims=True)
    return np.sign(turn)[:, None, None] * normals / np.maximum(1 + cosine, 0.2)


class World:
    """Playfield, grass, road and kerbs of an env's track: quads in drawing order, and their colours.

    `vertices` (quads * 4, 5) has rows (x, y, inward x, inward y, 1) and `centres` (3, quads) columns (x, y, 1), in
    metres. `colors` (quads, 3) is shared with the env's tiles, which wheels repaint when they touch them.
    """

    def __init__(self, env: car_racing.CarRacing) -> None:
        corners = np.array([[1, 0], [0, 0], [0, 1], [1, 1]])
        field = PLAYFIELD * (2.0 * corners[None] - 1)
        squares = 2 * np.stack(np.divmod(np.arange(400), 20), axis=1) - 20  # lower left corners, (400, 2)
        grass = car_racing.GRASS_DIM * (squares[:, None] + corners)
        polygons, road_colors = zip(*env.road_poly, strict=True)
        quads = np.concatenate([field, grass, np.array(polygons)])
        ones = np.ones((len(quads), 4, 1))
        self.vertices = np.concatenate([quads, inward(quads), ones], axis=2).reshape(-1, 5)
        centres = quads.mean(axis=1)
        self.centres = np.concatenate([centres.T, ones[None, :, 0, 0]]).astype(np.float32)
        self.radius = np.linalg.norm(quads - centres[:, None], axis=2).max(axis=1).astype(np.float32)
        self.radius[0] = np.inf  # the playfield is always in sight
        canvas_shape = (SCENE_H * OVERSAMPLING, STATE_W * OVERSAMPLING, 3)
        self.playfield_only = np.full(canvas_shape, env.bg_color.astype(np.uint8), dtype=np.uint8)

        self.colors = np.array([env.bg_color, *[env.grass_color] * len(grass), *road_colors], dtype=np.float64)
        shared = list(self.colors[1 + len(grass) :])  # views: what a contact writes into a tile's colour lands here
        row = {id(color): i for i, color in enumerate(road_colors)}
        for tile in env.road or ():
            tile.color = shared[row[id(tile.color)]]
        env.road_poly = list(zip(polygons, shared, strict=True))


class Camera:
    """The map from the world to the canvas at one moment: it follows and turns with the car."""

    def __init__(self, x: float, y: float, angle: float, t: float) -> None:
        self.zoom = 0.1 * SCALE * max(1 - t, 0) + ZOOM * SCALE * min(t, 1)  # window pixels per metre; zooms in for 1 s
        self.far_from_border = max(abs(x), abs(y)) + REACH / self.zoom < PLAYFIELD
        cos, sin = math.cos(angle), math.sin(angle)
        # A point p of the world is at (p_x * xx + p_y * yx + x0, p_x * xy + p_y * yy + y0) on the canvas.
        self.xx, self.yx = self.zoom * UNIT_X * cos, self.zoom * UNIT_X * sin
        self.xy, self.yy = self.zoom * UNIT_Y * sin, -self.zoom * UNIT_Y * cos
        self.x0, self.y0 = ORIGIN_X - x * self.xx - y * self.yx, ORIGIN_Y - x * self.xy - y * self.yy
        # The same without scaling, metres from the middle of the scene: columns for x, y and 1.
        ahead = (MIDDLE_Y - CAR_Y) / self.zoom
        self.turn = ((cos, sin, -x * cos - y * sin), (-sin, cos, x * sin - y * cos - ahead))

    def visible(self, world: World) -> np.ndarray:
        """Indices of the quads of `world` that may be in sight, in drawing order."""
        distance = np.abs(np.array(self.turn, dtype=np.float32) @ world.centres)  # (2, quads)
        distance -= world.radius
        near = distance[0] < WINDOW_W / 2 / self.zoom
        near &= distance[1] < (WINDOW_H - MIDDLE_Y) / self.zoom
        return near.nonzero()[0]

    def project(self, world: World, quads: np.ndarray) -> np.ndarray:
        """The quads with the given indices on the canvas, (quads, 4, 2) int32."""
        inset = WORLD_INSET / self.zoom
        xx, xy, yx, yy = self.xx, self.xy, self.yx, self.yy
        matrix = ((xx, xy), (yx, yy), (inset * xx, inset * xy), (inset * yx, inset * yy), (self.x0, self.y0))
        rows = world.vertices.reshape(-1, 4, 5)[quads].reshape(-1, 5)
        return (rows @ np.array(matrix)).astype(np.int32).reshape(-1, 4, 2)


def draw_world(world: World, camera: Camera) -> np.ndarray:
    """A new canvas with all but the car."""
    quads = camera.visible(world)
    if camera.far_from_border:  # the playfield is all there is to see, and copying is faster than filling
        canvas, quads = world.playfield_only.copy(), quads[1:]
    else:
        canvas = np.zeros_like(world.playfield_only)
    colors = world.colors[quads].astype(np.int32).tolist()
    for quad, color in zip(camera.project(world, quads), colors, strict=True):
        cv2.fillConvexPoly(canvas, quad, tuple(color), LINE, SHIFT)  # keywords would double the time
    return canvas


def draw_car(canvas: np.ndarray, car: car_dynamics.Car, camera: Camera) -> None:
    """Wheels, the stripes on them that show their rotation, and the hull on top."""
    inset = CAR_INSET / camera.zoom
    half_r = WHEEL_R - inset
    frames, ends, seen = [], [], []
    for wheel in car.wheels:
        (x, y), angle = wheel.position, wheel.angle
        cos, sin = math.cos(angle), math.sin(angle)
        frames.append(
            (
                (x * camera.xx + y * camera.yx + camera.x0, x * camera.xy + y * camera.yy + camera.y0),  # centre
                (cos * camera.xx + sin * camera.yx, cos * camera.xy + sin * camera.yy),  # the wheel's right
                (cos * camera.yx - sin * camera.xx, cos * camera.yy - sin * camera.xy),  # its front
            )
        )
        low, high = stripe(wheel.phase)
        seen.append(low < high)
        margin = min(inset, (high - low) / 2)
        ends.append((-half_r, -half_r, half_r, half_r, low + margin, low + margin, high - margin, high - margin))
    corners = np.ones((4, 8, 3))  # multiples of centre, right and front; 4 corners of the wheel, 4 of the stripe
    corners[:, :, 1] = RIGHT * (WHEEL_W - inset)
    corners[:, :, 2] = ends
    polygons = (corners @ np.array(frames)).astype(np.int32)
    cv2.fillPoly(canvas, polygons[:, :4], car_dynamics.WHEEL_COLOR, LINE, SHIFT)
    cv2.fillPoly(canvas, polygons[seen, 4:], car_dynamics.WHEEL_WHITE, LINE, SHIFT)
    for polygon in hull_on_canvas(camera.zoom):
        cv2.fillConvexPoly(canvas, polygon, HULL_COLOR, LINE, SHIFT)


RIGHT = np.array([-1.0, 1.0, 1.0, -1.0] * 2)


def stripe(phase: float) -> tuple[float, float]:
    """Where the stripe of a wheel turned by `phase` begins and ends along the wheel, metres; (0, 0) if hidden."""
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
def hull_on_canvas(zoom: float) -> tuple[np.ndarray, ...]:
    """The polygons of the hull on the canvas, where it neither moves nor turns."""
    parts = (car_dynamics.HULL_POLY1, car_dynamics.HULL_POLY2, car_dynamics.HULL_POLY3, car_dynamics.HULL_POLY4)
    polygons = [np.array(part, dtype=np.float64) * car_dynamics.SIZE for part in parts]
    polygons = [polygon + CAR_INSET / zoom * inward(polygon[None])[0] for polygon in polygons]
    scale, origin = (zoom * UNIT_X, -zoom * UNIT_Y), (ORIGIN_X, ORIGIN_Y)
    return tuple((polygon * scale + origin).astype(np.int32) for polygon in polygons)
