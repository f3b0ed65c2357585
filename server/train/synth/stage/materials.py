# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural surfaces: wood with grain, metals, glass, stone and so on, every one made from a generator.

There is no bounced light at one or two samples a pixel (it would only be noise): each surface glows a little
with its own colour instead, more where it faces the sky, which reads as ambient light and costs nothing.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import TypeAlias

import bpy
import numpy as np

Colour = tuple[float, float, float]
Material: TypeAlias = bpy.types.Material
Rng = np.random.Generator


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Linear colour; hue wraps around."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), max(value, 0.0))
    return red, green, blue


def shaded(colour: Colour, factor: float) -> Colour:
    """Darker (below 1) or lighter."""
    red, green, blue = colour
    return red * factor, green * factor, blue * factor


def vary(rng: Rng, hue: float, saturation: float, value: float, spread: float = 1.0) -> Colour:
    """Near the given colour; ``value`` is jittered by up to a third."""
    return hsv(
        hue + rng.normal(0.0, 0.012 * spread),
        saturation * rng.uniform(0.8, 1.2),
        value * rng.uniform(0.7, 1.35),
    )


class Recipe:
    """Builds the node tree of one material, link by link."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        if self.material.node_tree is None:  # before 5.0
            self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.material.cycles.emission_sampling = "NONE"
        self._coordinates: bpy.types.Node | None = None

    def node(self, kind: str, **inputs: object) -> bpy.types.Node:
        """A new node; ``inputs`` by name, a socket or a value."""
        node = self.tree.nodes.new("ShaderNode" + kind)
        for name, value in inputs.items():
            socket = node.inputs[name.replace("_", " ")]
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            elif isinstance(value, tuple) and len(value) == 3 and socket.type == "RGBA":
                socket.default_value = (*value, 1.0)
            else:
                socket.default_value = value
        return node

    def place(self, stretch: tuple[float, float, float], turn: tuple[float, float, float]) -> object:
        """Object coordinates, stretched and turned, for a texture."""
        if self._coordinates is None:
            self._coordinates = self.node("TexCoord")
        mapping = self.node(
            "Mapping", Vector=self._coordinates.outputs["Object"], Scale=stretch, Rotation=turn
        )
        return mapping.outputs[0]

    def blend(self, amount: object, first: object, second: object) -> object:
        """A colour between two by a factor socket."""
        node = self.tree.nodes.new("ShaderNodeMixRGB")
        for socket, value in zip(node.inputs, (amount, first, second), strict=True):
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = (*value, 1.0) if isinstance(value, tuple) else value
        return node.outputs[0]

    def sharpen(self, value: object, low: float, high: float) -> object:
        """``value`` stretched so that low..high becomes 0..1, cut off."""
        node = self.node("MapRange")
        self.tree.links.new(value, node.inputs[0])
        node.inputs[1].default_value, node.inputs[2].default_value = low, high
        return node.outputs[0]

    def surface(
        self, colour: object, rough: float, metal: float = 0.0, ambient: float = 0.55, gloss: float = 0.4
    ) -> Material:
        """Ends the tree in a plain opaque surface with its own ambient light."""
        normal = self.node("NewGeometry").outputs["Normal"]
        up = self.node("SeparateXYZ", Vector=normal).outputs[2]
        sky = self.sharpen(up, -1.6, 1.0)
        glow = self.blend(sky, (0.0, 0.0, 0.0), colour)
        if metal == 0.0 and rough > 0.45:  # nothing to mirror: cheaper, and without the noise of mirroring
            dull = self.node("BsdfDiffuse", Color=colour).outputs[0]
            lit = self.node("Emission", Color=glow, Strength=ambient).outputs[0]
            both = self.tree.nodes.new("ShaderNodeAddShader")
            self.tree.links.new(dull, both.inputs[0])
            self.tree.links.new(lit, both.inputs[1])
            return self.end(both.outputs[0])
        body = self.node(
            "BsdfPrincipled",
            Base_Color=colour,
            Roughness=rough,
            Metallic=metal,
            Specular_IOR_Level=gloss,
            Emission_Color=glow,
            Emission_Strength=ambient,
        )
        return self.end(body.outputs[0])

    def end(self, shader: object) -> Material:
        out = self.node("OutputMaterial")
        self.tree.links.new(shader, out.inputs[0])
        return self.material


def plain(colour: Colour, rough: float = 0.5, *, metal: float = 0.0, ambient: float = 0.55) -> Material:
    """One colour all over."""
    return Recipe("plain").surface(colour, rough, metal, ambient)


def glow(colour: Colour, strength: float = 2.0) -> Material:
    """Shines by itself, without lighting anything."""
    recipe = Recipe("glow")
    return recipe.end(recipe.node("Emission", Color=colour, Strength=strength).outputs[0])


def haze(colour: Colour, density: float = 0.5, strength: float = 1.0) -> Material:
    """See-through and self-lit, thinner towards the rim: smoke, mist, flames, spray."""
    recipe = Recipe("haze")
    facing = recipe.node("LayerWeight", Blend=0.4).outputs["Facing"]
    thin = recipe.sharpen(facing, 0.9, 0.1)
    fade = recipe.node("Math")
    fade.operation = "MULTIPLY"
    recipe.tree.links.new(thin, fade.inputs[0])
    fade.inputs[1].default_value = density
    light = recipe.node("Emission", Color=colour, Strength=strength).outputs[0]
    clear = recipe.node("BsdfTransparent").outputs[0]
    return recipe.end(_mix(recipe, fade.outputs[0], clear, light))


def _mix(recipe: Recipe, amount: object, first: object, second: object) -> object:
    node = recipe.tree.nodes.new("ShaderNodeMixShader")
    for socket, value in zip(node.inputs, (amount, first, second), strict=True):
        recipe.tree.links.new(value, socket)
    return node.outputs[0]


def wood(rng: Rng, colour: Colour | None = None) -> Material:
    """Long streaks of grain."""
    pale = colour or vary(rng, rng.uniform(0.055, 0.1), rng.uniform(0.5, 0.75), rng.uniform(0.25, 0.6))
    dark = shaded(pale, rng.uniform(0.25, 0.5))
    recipe = Recipe("wood")
    where = recipe.place((1.0, rng.uniform(4, 7), rng.uniform(4, 7)), tuple(rng.uniform(0, 0.15, 3)))
    grain = recipe.node(
        "TexNoise", Vector=where, Scale=float(rng.uniform(1.5, 3)), Detail=2.0, Distortion=0.6
    )
    rings = recipe.node("Math")
    rings.operation = "PINGPONG"
    scaled = recipe.node("Math")
    scaled.operation = "MULTIPLY"
    recipe.tree.links.new(grain.outputs[0], scaled.inputs[0])
    scaled.inputs[1].default_value = float(rng.uniform(5, 10))
    recipe.tree.links.new(scaled.outputs[0], rings.inputs[0])
    rings.inputs[1].default_value = 1.0
    return recipe.surface(recipe.blend(rings.outputs[0], pale, dark), float(rng.uniform(0.5, 0.9)), 0.0)


def metal(rng: Rng, colour: Colour | None = None) -> Material:
    """Steel, brass or copper; polished or brushed."""
    tones = ((0.6, 0.04, 0.7), (0.58, 0.1, 0.5), (0.12, 0.55, 0.75), (0.05, 0.6, 0.7), (0.6, 0.02, 0.9))
    shade = colour or vary(rng, *tones[int(rng.choice(5, p=[0.35, 0.25, 0.15, 0.1, 0.15]))])
    recipe = Recipe("metal")
    where = recipe.place((1, 1, float(rng.uniform(8, 30))), (0, 0, 0))
    brushed = recipe.node("TexNoise", Vector=where, Scale=3.0, Detail=1.0).outputs[0]
    worn = recipe.blend(brushed, shade, shaded(shade, 0.7))
    return recipe.surface(worn, float(rng.uniform(0.08, 0.35)), 1.0, ambient=0.06)


def glass(rng: Rng, colour: Colour | None = None) -> Material:
    """Clear with bright rims: light passes straight through, so that there is no noise of refraction."""
    tint = colour or hsv(rng.uniform(0.28, 0.65), rng.uniform(0.12, 0.6), 0.9)
    recipe = Recipe("glass")
    clear = recipe.node("BsdfTransparent", Color=tint).outputs[0]
    mirror = recipe.node("BsdfGlossy", Color=(0.95, 1.0, 1.0), Roughness=0.15).outputs[0]
    rim = recipe.node("Emission", Color=hsv(0.5, 0.1, 1.0), Strength=0.95).outputs[0]
    facing = recipe.node("LayerWeight", Blend=0.35).outputs["Facing"]
    shiny = _mix(recipe, recipe.sharpen(facing, 0.0, 1.5), clear, mirror)
    return recipe.end(_mix(recipe, recipe.sharpen(facing, 0.45, 0.9), shiny, rim))


def stone(rng: Rng, colour: Colour | None = None) -> Material:
    """Grey to tan with blotches and specks."""
    base = colour or vary(
        rng, rng.choice([0.08, 0.1, 0.6, 0.03]), rng.uniform(0.03, 0.25), rng.uniform(0.2, 0.5)
    )
    recipe = Recipe("stone")
    where = recipe.place((1, 1, 1), (0, 0, 0))
    blotch = recipe.node("TexNoise", Vector=where, Scale=float(rng.uniform(2, 5)), Detail=3.0).outputs[0]
    speck = recipe.node("TexNoise", Vector=where, Scale=float(rng.uniform(14, 26)), Detail=1.0).outputs[0]
    mottled = recipe.blend(recipe.sharpen(blotch, 0.35, 0.65), shaded(base, 0.55), shaded(base, 1.25))
    specked = recipe.blend(recipe.sharpen(speck, 0.55, 0.68), mottled, shaded(base, 0.3))
    return recipe.surface(specked, 0.95, gloss=0.1)


def plastic(rng: Rng, colour: Colour | None = None) -> Material:
    """A bright even colour with a highlight."""
    shade = colour or hsv(rng.uniform(0, 1), rng.uniform(0.75, 1.0), rng.uniform(0.5, 0.9))
    return Recipe("plastic").surface(shade, float(rng.uniform(0.12, 0.3)), gloss=0.7)


def pick_bright(rng: Rng) -> Material:
    """Paint of a strong colour, as tools and vehicles wear it."""
    return plain(
        hsv(rng.choice([0.0, 0.08, 0.14, 0.35, 0.58, 0.62]), rng.uniform(0.75, 1), rng.uniform(0.35, 0.8)),
        0.3,
    )


def rubber(rng: Rng, colour: Colour | None = None) -> Material:
    """Dull: black, brick red or grey-blue."""
    tones = ((0.6, 0.1, 0.035), (0.6, 0.05, 0.02), (0.01, 0.75, 0.3), (0.6, 0.4, 0.12), (0.08, 0.8, 0.35))
    shade = colour or vary(rng, *tones[int(rng.choice(5, p=[0.35, 0.25, 0.2, 0.1, 0.1]))])
    return Recipe("rubber").surface(shade, 1.0, gloss=0.05)


def cloth(rng: Rng, colour: Colour | None = None, stripes: bool | None = None) -> Material:
    """A dull colour; sometimes two in stripes."""
    shade = colour or hsv(rng.uniform(0, 1), rng.uniform(0.3, 0.9), rng.uniform(0.25, 0.8))
    if not (rng.uniform() < 0.4 if stripes is None else stripes):
        return Recipe("cloth").surface(shade, 1.0, gloss=0.05)
    other = hsv(rng.uniform(0, 1), rng.uniform(0, 0.8), rng.uniform(0.4, 0.9))
    return striped(rng, shade, other, float(rng.uniform(1, 4)))


def striped(rng: Rng, first: Colour, second: Colour, scale: float) -> Material:
    """Straight bands of two colours."""
    recipe = Recipe("striped")
    turn = (0.0, 0.0, float(rng.choice([0.0, np.pi / 2, np.pi / 4])))
    bands = recipe.node("TexWave", Vector=recipe.place((1, 1, 1), turn), Scale=scale).outputs["Fac"]
    return recipe.surface(recipe.blend(recipe.sharpen(bands, 0.45, 0.55), first, second), 0.9, gloss=0.1)


def checked(first: Colour, second: Colour, scale: float, rough: float = 0.7) -> Material:
    """A chessboard: tiles."""
    recipe = Recipe("checked")
    node = recipe.node("TexChecker", Vector=recipe.place((1, 1, 1), (0, 0, 0.0)), Scale=scale)
    node.inputs["Color1"].default_value = (*first, 1.0)
    node.inputs["Color2"].default_value = (*second, 1.0)
    return recipe.surface(node.outputs[0], rough)


def bricks(first: Colour, second: Colour, joint: Colour, scale: float, wide: float, high: float) -> Material:
    """Bricks, slabs or planks; ``wide`` and ``high`` are those of one, before scaling."""
    recipe = Recipe("bricks")
    node = recipe.node("TexBrick", Vector=recipe.place((1, 1, 1), (0, 0, 0)), Scale=scale)
    for name, value in (("Color1", first), ("Color2", second), ("Mortar", joint)):
        node.inputs[name].default_value = (*value, 1.0)
    node.inputs["Brick Width"].default_value = wide
    node.inputs["Row Height"].default_value = high
    node.inputs["Mortar Size"].default_value = 0.012
    return recipe.surface(node.outputs["Color"], 0.8, gloss=0.2)


def blotched(
    first: Colour,
    second: Colour,
    scale: float,
    rough: float = 1.0,
    *,
    ambient: float = 0.55,
    detail: float = 2.0,
) -> Material:
    """Two colours in soft patches: earth, lawn, snow, cloud, rust."""
    recipe = Recipe("blotched")
    noise = recipe.node("TexNoise", Vector=recipe.place((1, 1, 1), (0, 0, 0)), Scale=scale, Detail=detail)
    return recipe.surface(
        recipe.blend(recipe.sharpen(noise.outputs[0], 0.35, 0.65), first, second), rough, 0.0, ambient, 0.1
    )


def water(rng: Rng, colour: Colour | None = None, *, clear: bool = False) -> Material:
    """Blue-green and mirror-like; ``clear``: one sees through it."""
    shade = colour or vary(rng, rng.uniform(0.5, 0.6), 0.6, 0.3)
    recipe = Recipe("water")
    if not clear:
        facing = recipe.node("LayerWeight", Blend=0.5).outputs["Facing"]
        pale = (
            0.45 + 0.5 * shade[0],
            0.45 + 0.5 * shade[1],
            0.45 + 0.5 * shade[2],
        )  # as if it mirrored a sky: a mirror itself is all noise
        return recipe.surface(recipe.blend(recipe.sharpen(facing, 0.35, 1.05), shade, pale), 0.8)
    through = recipe.node("BsdfTransparent", Color=hsv(0.54, 0.35, 0.95)).outputs[0]
    mirror = recipe.node("BsdfGlossy", Color=(0.9, 0.97, 1.0), Roughness=0.05).outputs[0]
    tint = recipe.node("Emission", Color=hsv(0.55, 0.4, 0.9), Strength=0.7).outputs[0]
    facing = recipe.node("LayerWeight", Blend=0.4).outputs["Facing"]
    body = _mix(recipe, recipe.sharpen(facing, -0.9, 1.2), through, tint)
    return recipe.end(_mix(recipe, recipe.sharpen(facing, 0.3, 1.5), body, mirror))


BY_NAME: dict[str, Callable[[Rng], Material]] = {
    "wood": wood,
    "metal": metal,
    "glass": glass,
    "stone": stone,
    "plastic": plastic,
    "rubber": rubber,
    "cloth": cloth,
    "water": water,
}


def by_name(name: str, rng: Rng) -> Material:
    """The surface of a material's plain name; an unknown one looks like plastic."""
    return BY_NAME.get(name, plastic)(rng)
