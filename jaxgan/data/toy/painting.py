"""A drawn animal, from back to front: body, head, coat, ears, eyes and muzzle."""

from math import cos, sin

import numpy as np

from jaxgan.data.toy.drawing import (
    BLACK,
    WHITE,
    Canvas,
    Rng,
    arc,
    around,
    drop,
    ellipse,
    lens,
    mirrored,
    mix,
    noise,
    paint,
    pick,
    posed,
    ramp,
    relief,
    union,
)
from jaxgan.data.toy.sitter import BRASS, PINK, RED, SCENES, SKIN, Animal


def paint_body(picture: Canvas, animal: Animal, rng: Rng) -> None:
    lean = rng.uniform(-0.5, 0.5)
    canvas = posed(picture, animal.centre, animal.scale, 0)
    body = drop(canvas, (lean, 1.2), (lean, 3), 0.75, 1.25)
    shade = relief(canvas, body, animal.light, 0.6) * (0.7 + 0.25 * ramp(canvas.y, 0.6, 1.6))
    paint(canvas, body, (animal.fur if rng.random() < 0.6 else animal.markings) * shade)
    if rng.random() < 0.4:
        bib = ellipse(canvas, (lean, 1.75), 0.5, 0.8)
        paint(canvas, np.maximum(bib, body), animal.pale * shade, 0.9, 0.15)
    if rng.random() < 0.35:
        collar = arc(canvas, (lean - 0.9, 0.9), (lean + 0.9, 0.9), 0.3, 0.1)
        paint(canvas, np.maximum(collar, body - 0.03), pick(rng, SCENES) * shade)
        paint(canvas, ellipse(canvas, (lean, 1.35), 0.12, 0.13), BRASS)


def paint_head(picture: Canvas, animal: Animal, rng: Rng) -> None:
    head = around(posed(picture, animal.centre, animal.scale, animal.tilt), (0, 0), 1.9)
    coat, strands = sample_coat(head, animal, rng)
    head = head._replace(fur=coat)
    ears_in_front = animal.ears in ("folded", "floppy")
    if not ears_in_front:
        paint_ears(head, animal, rng)
    m, width = animal.muzzle, animal.width
    skull = ellipse(head, animal.place(0, -0.08, 0), width, 0.86)
    cheeks = ellipse(head, animal.place(0, 0.32, 0.1), width * (0.95 - 0.3 * m), 0.5 + 0.3 * m)
    face = union(skull, cheeks, 0.25)
    outline = face + 0.03 * strands
    paint(head, outline - 0.03, head.fur * 0.35, 0.35, 0.16)
    paint(head, outline, head.fur * relief(head, face, animal.light, 0.75))
    if ears_in_front:
        paint_ears(head, animal, rng)
    asleep = rng.random() < 0.06
    for side in (-1, 1):
        paint_eye(head, animal, side, asleep)
    paint_muzzle(head, animal, rng)


def sample_coat(head: Canvas, animal: Animal, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Return the colours of the fur, [3, h, w], with up to three markings; its strands, about [-1,
    1].
    """
    # The fur grows away from the nose. The seam of the angle is below the chin, out of sight.
    radius, angle = np.hypot(head.x, head.y - 0.25), np.arctan2(head.x, 0.25 - head.y)
    strands = noise(rng, 18 * angle, 5 * radius) * np.minimum(radius, 1)
    fur, markings, pale = animal.fur, animal.markings, animal.pale
    x, y = head.x - animal.place(0, 0, 0.9)[0], head.y
    kind = rng.integers(6)
    if kind == 0:  # Tabby or brindle: stripes that run outwards from the nose.
        waves = np.cos(float(rng.integers(9, 15)) * angle + np.sin(4 * radius))
        amount = ramp(waves, 0, 0.7) * ramp(radius, 0.45, 0.8) * rng.uniform(0.4, 0.9)
    elif kind == 1:  # Patches.
        size = rng.uniform(0.9, 1.8)
        amount = ramp(noise(rng, size * x, size * y), 0, 0.15)
    elif kind == 2:  # A mask around the nose.
        amount = 1 - ramp(np.hypot(x / rng.uniform(0.5, 0.9), y - 0.3), 0.5, 0.95)
    elif kind == 3:  # A cap down to the eyes.
        amount = 1 - ramp(y + rng.uniform(-0.4, 0.1) - rng.uniform(0.2, 0.9) * abs(x), -0.15, 0.15)
    elif kind == 4:  # Spots over the eyes.
        amount = 1 - ramp(np.hypot(abs(x) - 0.36, y + 0.42), 0.1, 0.2)
    else:
        amount = 0
    fur = mix(fur, markings, amount)
    if rng.random() < 0.4:  # A blaze.
        stripe = abs(x) - rng.uniform(0.03, 0.14) - 0.22 * ramp(y, -0.2, 0.6)
        fur = mix(fur, pale, 1 - ramp(stripe, -0.04, 0.08))
    if rng.random() < 0.6:  # Pale cheeks and chin.
        fur = mix(fur, pale, 0.9 - 0.9 * ramp(np.hypot(0.75 * x, y - 0.75), 0.4, 0.75))
    return fur * (1 + 0.13 * strands), strands


def paint_ears(head: Canvas, animal: Animal, rng: Rng) -> None:
    light, place = animal.light, animal.place
    height, spread = rng.uniform(0.85, 1.15), rng.uniform(-0.08, 0.08)
    skin = SKIN * rng.uniform(0.7, 1.05)
    shade = 1.0 if rng.random() < 0.5 else 0.55
    odd = rng.random() < 0.12  # One ear does as it likes.
    for side in (-1, 1):
        ears = "half" if odd and side == 1 else animal.ears
        out = side * (animal.width + spread)
        root = place(0.6 * out, -0.6, 0)
        canvas = around(head, (root[0], root[1] + 0.2), 1.5 if ears == "floppy" else 1.15)
        fur = canvas.fur * shade
        if ears in ("pointed", "half"):
            tip = place((0.72 if ears == "pointed" else 1.05) * out, -0.55 - 0.85 * height, -0.1)
            ear = lens(canvas, (2 * root[0] - tip[0], 2 * root[1] - tip[1] + 0.25), tip, 0.36)
            paint(canvas, ear, fur * relief(canvas, ear, light, 0.4))
            paint(canvas, ear + 0.12, skin, 0.85, 0.08)
            if ears == "half":
                crease = tip[0] - 0.1 * side, tip[1] + 0.18
                flap = drop(canvas, crease, (tip[0] + 0.05 * side, tip[1] + 0.5), 0.18, 0.07)
                paint(canvas, flap - 0.02, BLACK, 0.25, 0.1)
                paint(canvas, flap, fur * 0.9 * relief(canvas, flap, light, 0.2))
            continue
        if ears == "folded":
            tip = place(0.82 * out, -0.42, 0.35)
            start = root[0] - 0.45 * side, root[1] - 0.28
            ear = lens(canvas, start, (tip[0] + 0.12 * side, tip[1] + 0.14), 0.22 * height)
        else:
            tip = place(1.05 * out, -0.4 + 0.85 * height, 0.1)
            ear = drop(canvas, (root[0] + 0.1 * side, root[1] + 0.05), tip, 0.17, 0.27)
        paint(canvas, ear - 0.02, BLACK, 0.3, 0.14)
        paint(canvas, ear, fur * relief(canvas, ear, light, 0.3))


def paint_eye(head: Canvas, animal: Animal, side: int, asleep: bool) -> None:
    x, y = animal.place(side * 0.42 * animal.width, -0.08, 0.8)
    size = animal.eye
    canvas = around(head, (x, y), 1.5 * size)
    wide = size * min(1.1, max(0.5, cos(animal.turn + 0.4 * side) / cos(0.4)))
    dx, dy = 1.25 * wide * cos(animal.slant), -1.25 * wide * sin(animal.slant)
    inner, outer = (x - side * dx, y - dy), (x + side * dx, y + dy)
    if asleep:
        paint(canvas, arc(canvas, inner, outer, -0.6 * side * size, 0.05), BLACK, 0.95)
        return
    almond = lens(canvas, inner, outer, 0.95 * size)
    eye = np.maximum(almond, ellipse(canvas, (x, y), 1.1 * wide, size))
    paint(canvas, eye - 0.04, BLACK, 0.85, 0.03)
    paint(canvas, eye, animal.iris * (0.75 + 0.5 / size * (canvas.y - y)))
    pupil = ellipse(canvas, (x, y), 0.78 * wide * animal.pupil, 0.8 * size)
    paint(canvas, np.maximum(pupil, eye), BLACK)
    lit = 0.3 if animal.light[0] > 0 else -0.3
    for dx, dy, radius, opacity in (lit, -0.35, 0.24, 1), (-lit, 0.4, 0.12, 0.6):
        glint = ellipse(canvas, (x + dx * size, y + dy * size), radius * size, radius * size)
        paint(canvas, glint, WHITE, opacity)


def paint_muzzle(head: Canvas, animal: Animal, rng: Rng) -> None:
    m, w, light = animal.muzzle, animal.nose, animal.light
    x, y = animal.place(0, 0.36 + 0.06 * m, 0.95 + 0.35 * m)
    lip = 0.2 + 0.26 * m  # Below the nose, as all that follows.
    canvas = around(head, (x, y), 0.9)
    brow = animal.place(0, -0.1, 0.9)
    bridge = drop(canvas, brow, (x, y), 0.1 + 0.1 * m, 0.14 + 0.2 * m)
    canvas = mirrored(canvas, (x, y))
    pad = 0.24 + 0.13 * m
    pads = ellipse(canvas, (0.19 + 0.03 * m, 0.14 + 0.1 * m), pad, pad * (0.8 + 0.35 * m))
    muzzle = union(pads, bridge, 0.15)

    chin = ellipse(canvas, (0, 0.36 + 0.3 * m), 0.2 + 0.1 * m, 0.16)
    paint(canvas, chin, canvas.fur * relief(canvas, chin, light, 0.2) * 0.9)
    length = rng.uniform(0.15, 0.4)
    if animal.tongue:
        tongue = drop(canvas, (0, lip), (0, lip + length), 0.13, 0.12)
        paint(canvas, tongue - 0.04, BLACK, 0.6)
        paint(canvas, tongue, PINK * relief(canvas, tongue, light, 0.15))
        paint(canvas, arc(canvas, (0, lip), (0, lip + length), 0, 0.01), RED, 0.6)
    fur = canvas.fur if rng.random() < 0.5 else (canvas.fur + animal.pale) / 2
    paint(canvas, muzzle - 0.03, canvas.fur * 0.3, 0.25 + 0.3 * m, 0.14)
    paint(canvas, muzzle, fur * relief(canvas, muzzle, light, 0.2 + 0.15 * m), 1, 0.06)

    smile = arc(canvas, (0, lip - 0.02), (0.26 + 0.12 * m, lip + 0.02), 0.08 + 0.05 * m, 0.018)
    cleft = arc(canvas, (0, 0), (0, lip - 0.02), 0, 0.016)
    paint(canvas, np.minimum(smile, cleft), BLACK, 0.8)
    nose = ellipse(canvas, (0, -0.02), 1.1 * w, 0.7 * w)
    nose = union(nose, ellipse(canvas, (0, 0.35 * w), 0.55 * w, 0.6 * w), 0.08)
    paint(canvas, nose - 0.02, BLACK, 0.4, 0.04)
    paint(canvas, nose, animal.nose_colour * relief(canvas, nose, light, 0.1))
    paint(canvas, ellipse(canvas, (0, -0.3 * w), 0.35 * w, 0.16 * w), WHITE, 0.5, 0.02)

    canvas = mirrored(head, (x, y))
    # As Python's floats: NumPy's would make every array float64.
    ends = np.c_[rng.uniform(0.85, 1.2, 3), rng.normal((-0.08, 0.12, 0.32), 0.05)].tolist()
    hairs = [arc(canvas, (0.22, 0.12 + 0.07 * k), end, 0.08, 0.01) for k, end in enumerate(ends)]
    hair = WHITE if rng.random() < 0.75 else BLACK
    paint(canvas, np.minimum.reduce(hairs), hair, animal.whiskers)
