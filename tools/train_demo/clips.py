"""The drawn data set: what a clip shows, the sentences that say so, and the drawing itself.

A clip is one flat shape that crosses a plain background at constant speed. Everything is drawn
from signed distances, so that edges are anti-aliased and a shape may sit between pixels.
"""

import dataclasses
import itertools
import json
import random

import torch

FRAMES = 17
SIZE = 128  # height and width in pixels

SHAPES = ("ball", "square", "triangle", "ring")
COLORS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (40, 80, 220),
          "yellow": (240, 210, 40), "purple": (140, 50, 180), "orange": (245, 140, 30)}
BACKGROUNDS = {"white": (250, 250, 250), "black": (10, 10, 10), "gray": (128, 128, 128),
               "pink": (250, 190, 205)}
DIRECTIONS = {"to the right": (1, 0), "to the left": (-1, 0), "up": (0, -1), "down": (0, 1)}
# Where the path lies across the direction of motion: low, middle or high coordinate.
POSITIONS = {"horizontal": ("at the top", "in the middle", "at the bottom"),
             "vertical": ("on the left", "in the middle", "on the right")}
POSITION_OFFSET = 32  # pixels from the middle
TRAVEL = 56           # pixels from the first frame to the last
RADIUS = 26           # half the extent of a shape in pixels

HELD_OUT_PROMPTS = 64
HELD_OUT_SEED = 20260


@dataclasses.dataclass(frozen=True)
class Scene:
    """What a caption says. `position` is 0, 1 or 2: low, middle or high coordinate."""
    shape: str
    color: str
    background: str
    direction: str
    position: int

    def axis(self):
        return "vertical" if self.direction in ("up", "down") else "horizontal"

    def position_words(self):
        return POSITIONS[self.axis()][self.position]


def all_scenes():
    return [Scene(*values) for values in itertools.product(
        SHAPES, COLORS, BACKGROUNDS, DIRECTIONS, range(3))]


def held_out_scenes():
    """Scenes that training never shows: a draw in which every value of every attribute is as
    frequent as any other (to within one)."""
    rng = random.Random(HELD_OUT_SEED)
    columns = []
    for values in (SHAPES, list(COLORS), list(BACKGROUNDS), list(DIRECTIONS), range(3)):
        column = [value for value, _ in zip(itertools.cycle(values), range(HELD_OUT_PROMPTS))]
        columns.append(column)
    while True:
        for column in columns:
            rng.shuffle(column)
        scenes = [Scene(*row) for row in zip(*columns)]
        if len(set(scenes)) == HELD_OUT_PROMPTS:
            return scenes


def training_scenes():
    held_out = set(held_out_scenes())
    return [scene for scene in all_scenes() if scene not in held_out]


def _article(word):
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def caption(scene, template=0, with_position=True):
    """The sentence of a scene. Template 0 is the one of the held-out prompts."""
    thing = f"{_article(scene.color)} {scene.shape}"
    motion = scene.direction + (f" {scene.position_words()}" if with_position else "")
    if template == 0:
        return f"{thing} moves {motion} on a {scene.background} background"
    if template == 1:
        return f"on a {scene.background} background, {thing} moves {motion}"
    return f"{thing} is moving {motion}, the background is {scene.background}"


TEMPLATES = 3


def training_caption(scene, rng):
    return caption(scene, rng.randrange(TEMPLATES), rng.random() < 0.85)


def all_captions():
    """Every training sentence, what the vocabulary is learned from."""
    return [caption(scene, template, with_position) for scene in training_scenes()
            for template in range(TEMPLATES) for with_position in (True, False)]


def _box_distance(x, y, half):
    dx, dy = x.abs() - half, y.abs() - half
    outside = (dx.clamp(min=0) ** 2 + dy.clamp(min=0) ** 2).sqrt()
    return outside + torch.maximum(dx, dy).clamp(max=0)


def _triangle_distance(x, y, radius):
    """Upright isosceles triangle with its tip at -radius and its base at +radius."""
    base = y - radius
    norm = 5 ** 0.5
    side = (2 * x.abs() - (y + radius)) / norm
    return torch.maximum(base, side)


def _shape_distance(shape, x, y, radius):
    if shape == "ball":
        return (x * x + y * y).sqrt() - radius
    if shape == "square":
        return _box_distance(x, y, radius * 0.9)
    if shape == "triangle":
        return _triangle_distance(x, y, radius)
    return ((x * x + y * y).sqrt() - radius * 0.75).abs() - radius * 0.27


@dataclasses.dataclass(frozen=True)
class Window:
    """The part of a clip that is drawn: frames and pixels."""
    first_frame: int = 0
    frames: int = FRAMES
    top: int = 0
    left: int = 0
    size: int = SIZE


def _centres(scene, rng, frames):
    """Path of the shape: x and y of its centre in each frame."""
    along, wobble = rng.uniform(-2, 2), rng.uniform(-2, 2)
    across = (scene.position - 1) * POSITION_OFFSET + wobble
    travel = TRAVEL * rng.uniform(0.95, 1.05)
    ux, uy = DIRECTIONS[scene.direction]
    progress = torch.linspace(-0.5, 0.5, frames) * travel + along
    middle = (SIZE - 1) / 2
    return (middle + (ux * progress if ux else torch.full_like(progress, across)),
            middle + (uy * progress if uy else torch.full_like(progress, across)))


def window_near_shape(cx, cy, rng, frames, size):
    """A random window whose middle frame shows at least a part of the shape."""
    first = rng.randrange(FRAMES - frames + 1)
    reach = RADIUS + size // 4
    corner = [int(c[first + frames // 2]) - size // 2 + rng.randint(-reach, reach) for c in (cx, cy)]
    left, top = (min(max(c, 0), SIZE - size) for c in corner)
    return Window(first, frames, top, left, size)


def draw(scene, rng, choose_window=None, frames=FRAMES):
    """One clip, or the window of it that `choose_window(cx, cy)` picks, as float32 [3, frames,
    size, size] in [-1, 1]. `rng` moves the start, the speed and the size a little."""
    radius = RADIUS * rng.uniform(0.95, 1.05)
    cx, cy = _centres(scene, rng, frames)
    window = choose_window(cx, cy) if choose_window else Window(frames=frames)
    shown = slice(window.first_frame, window.first_frame + window.frames)
    grid = torch.arange(window.size, dtype=torch.float32)
    x = grid.view(1, 1, -1) + window.left - cx[shown].view(-1, 1, 1)
    y = grid.view(1, -1, 1) + window.top - cy[shown].view(-1, 1, 1)
    x, y = torch.broadcast_tensors(x, y)
    coverage = (0.5 - _shape_distance(scene.shape, x, y, radius)).clamp(0, 1)
    color = torch.tensor(COLORS[scene.color], dtype=torch.float32).view(3, 1, 1, 1)
    background = torch.tensor(BACKGROUNDS[scene.background], dtype=torch.float32).view(3, 1, 1, 1)
    return (background + (color - background) * coverage) / 127.5 - 1


def evaluation_document():
    """The held-out prompts and what a frame must show, for `mxvideo evaluate`."""
    prompts = [{"prompt": caption(scene), "shape": scene.shape, "color": scene.color,
                "background": scene.background, "direction": scene.direction.split()[-1],
                "position": scene.position_words()} for scene in held_out_scenes()]
    return json.dumps({"colors": COLORS, "backgrounds": BACKGROUNDS, "prompts": prompts},
                      indent=1) + "\n"
