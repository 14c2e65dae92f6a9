"""Clips that `mxvideo evaluate` has to read: drawn by the code that draws the training set, then
damaged as generated videos are (blur, noise, another shade), and clips that show no answer."""

import dataclasses
import itertools
import random

import numpy as np
import torch
from PIL import Image, ImageFilter
from train_demo import clips

from golden import common

FRAMES = 5
UNCLEAR = {"shape": None, "color": None, "background": None, "direction": None, "position": None}
WHITE = clips.Scene("ball", "red", "white", "to the right", 1)


def pick_scenes():
    """Every colour on every background once; with it every shape in every direction and at every
    position."""
    rng = random.Random(20261)
    pairs = list(itertools.product(clips.COLORS, clips.BACKGROUNDS))
    while True:
        motions = [(clips.SHAPES[i % 4], list(clips.DIRECTIONS)[i // 4 % 4], i % 3)
                   for i in range(len(pairs))]
        rng.shuffle(motions)
        scenes = [clips.Scene(shape, *pair, direction, position)
                  for pair, (shape, direction, position) in zip(pairs, motions)]
        shapes_and_directions = {(s.shape, s.direction) for s in scenes}
        shapes_and_positions = {(s.shape, s.position) for s in scenes}
        if len(shapes_and_directions) == 16 and len(shapes_and_positions) == 12:
            return scenes


def answer(scene):
    return {"shape": scene.shape, "color": scene.color, "background": scene.background,
            "direction": scene.direction.split()[-1], "position": scene.position_words()}


def draw(scene, seed, frames=FRAMES):
    """uint8 [frames, height, width, 3]."""
    video = clips.draw(scene, random.Random(seed), frames=frames)
    return ((video + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0).numpy()


def blurred(video, sigma):
    return np.stack([np.asarray(Image.fromarray(f).filter(ImageFilter.GaussianBlur(sigma)))
                     for f in video])


def noisy(video, levels, *key):
    """The same for the three channels and of three levels only, which PNG can pack."""
    noise = common.numpy_rng("evaluation", *key).integers(-1, 2, video.shape[:3] + (1,)) * levels
    return np.clip(video.astype(int) + noise, 0, 255).astype(np.uint8)


def shifted(video, red, green, blue):
    return np.clip(video.astype(int) + np.array([red, green, blue]), 0, 255).astype(np.uint8)


def scaled(video, size):
    return np.stack([np.asarray(Image.fromarray(f).resize((size, size), Image.Resampling.BILINEAR))
                     for f in video])


def damaged_clips():
    """(name, video, answer): what a model would make of a scene that it follows."""
    shapes = [clips.Scene("ball", "green", "gray", "down", 2),
              clips.Scene("square", "purple", "gray", "to the left", 0),
              clips.Scene("triangle", "orange", "pink", "up", 0),
              clips.Scene("ring", "yellow", "white", "to the right", 2)]
    for seed, scene in enumerate(shapes):
        clean = draw(scene, 100 + seed)
        yield f"blurred_{scene.shape}", blurred(clean, 1), answer(scene)
        yield f"very_blurred_{scene.shape}", blurred(clean, 2.5), answer(scene)
        yield f"noisy_{scene.shape}", noisy(blurred(clean[::2], 1), 8, scene.shape), answer(scene)
        yield f"darker_{scene.shape}", shifted(clean, -14, -8, -14), answer(scene)
        yield f"warmer_{scene.shape}", blurred(shifted(clean, 12, 4, -12), 1), answer(scene)
        yield f"small_{scene.shape}", scaled(clean, 80), answer(scene)


def with_second_shape(offset):
    """Another ball `offset` pixels below the first."""
    first = draw(WHITE, 7)
    return np.minimum(first, np.roll(first, offset, axis=1))


def path_of_ball(points):
    """A red ball on white whose middle visits `points`."""
    still = draw(dataclasses.replace(WHITE, direction="down"), 3, frames=1)[0]
    middle = np.argwhere(still[:, :, 1] < 128).mean(axis=0).round().astype(int)
    return np.stack([np.roll(still, (y - middle[0], x - middle[1]), axis=(0, 1))
                     for x, y in points])


def broken_ring():
    """A ring with a gap on its right side."""
    video = draw(dataclasses.replace(WHITE, shape="ring"), 2)
    for frame in video:
        y, x = np.argwhere(frame[:, :, 1] < 128).mean(axis=0).round().astype(int)
        frame[y - 7:y + 7, x:] = 250
    return video


def negative_clips():
    """(name, video, answer): None where there is no answer."""
    ball = draw(WHITE, 1)
    right = answer(WHITE)
    blank = np.full_like(ball, 250)
    yield "blank", blank, UNCLEAR | {"background": "white"}
    yield "two_balls", with_second_shape(42), right | {"shape": None, "color": None,
                                                       "direction": None, "position": None}
    yield "two_balls_touch", with_second_shape(30), right | {"shape": None}
    yield "static", np.repeat(ball[2:3], FRAMES, axis=0), right | {"direction": None}
    yield ("diagonal", path_of_ball([(35 + 14 * i, 35 + 14 * i) for i in range(5)]),
           right | {"direction": None})
    yield ("to_and_fro", path_of_ball([(40, 64), (64, 64), (88, 64), (64, 64), (40, 64)]),
           right | {"direction": None})
    square = draw(dataclasses.replace(WHITE, shape="square"), 1)
    yield "ball_becomes_square", np.concatenate([ball[:2], square[2:]]), right | {"shape": None}
    blue = draw(dataclasses.replace(WHITE, color="blue"), 1)
    yield "red_becomes_blue", np.concatenate([ball[:2], blue[2:]]), right | {"color": None}
    teal = ball.copy()
    teal[(ball < 100).any(axis=3)] = (0, 150, 150)
    yield "teal", teal, right | {"color": None}
    yield "broken_ring", broken_ring(), right | {"shape": None}
    ramp = np.linspace(250, 10, 128)[None, :, None, None]
    yield ("background_ramp", np.broadcast_to(ramp, (3, 128, 128, 3)).astype(np.uint8), UNCLEAR)
    noise = common.numpy_rng("evaluation", "noise").integers(0, 256, (2, 64, 64, 3))
    yield "noise", noise.astype(np.uint8), UNCLEAR
    yield "one_frame", ball[:1], right | {"direction": None}


def measured_clips():
    """(name, video, answer, flicker in levels, background constancy in percent)."""
    flicker = draw(dataclasses.replace(WHITE, background="gray"), 5).astype(int)
    flicker[1::2] += np.array([3, 6, 9])
    answers = answer(dataclasses.replace(WHITE, background="gray"))
    yield "flicker", flicker.astype(np.uint8), answers, 6.0, 100.0
    patch = draw(WHITE, 6)
    patch[:, 100:116, 40:88] -= 24
    # The shape and the pixels near it are no background; the bounds of the test allow for both.
    background = 128 * 128 - np.pi * 19 ** 2
    yield "patch", patch, answer(WHITE), 0.0, 100 * (1 - 16 * 48 / background)



def write_evaluation(writer):
    listed = []

    def add(name, video, kind, answers, **more):
        strip = np.concatenate(list(video), axis=1)
        file = f"evaluation/{name}.png"
        Image.fromarray(np.ascontiguousarray(strip)).save(
            writer.path(file, "evaluation.write_evaluation"), optimize=True)
        listed.append({"file": f"{name}.png", "kind": kind, "frames": len(video),
                       **answers, **more})

    for seed, scene in enumerate(pick_scenes()):
        add(f"scene_{seed:02}", draw(scene, seed), "drawn", answer(scene))
    for name, video, answers in damaged_clips():
        add(name, video, "damaged", answers)
    for name, video, answers in negative_clips():
        add(name, video, "negative", answers)
    for name, video, answers, flicker, constancy in measured_clips():
        add(name, video, "measured", answers, flicker=flicker, constancy=constancy)
    document = {"colors": clips.COLORS, "backgrounds": clips.BACKGROUNDS, "clips": listed}
    writer.json("evaluation/clips.json", document, "evaluation.write_evaluation")
    writer.text("evaluation/prompts.json", clips.evaluation_document(),
                "evaluation.write_evaluation")
