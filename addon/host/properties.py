# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""What the animator sets, saved with the scene as ``scene.footfall``. Settings only: live jobs are in
session.py.

The names match FoleyRequest's and the command line's; tests compare them, since importing the wire here would
load numpy when the add-on is enabled.
"""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from ..wire import limits
from .worker import bundles

QUALITIES = (
    ("draft", "Draft", "Quickest: to hear whether the idea works"),
    ("good", "Good", "The everyday setting"),
    ("best", "Best", "Slowest: tries several and keeps the closest to the picture"),
)
MAPPERS = (
    ("auto", "Automatic", "The best mapper that the bundle has"),
    ("bridge", "Bridge", "Compares the picture with sounds described in words; needs no training"),
    ("regression", "Regression", "A trained network: the most likely sound, the same each time"),
    ("generative", "Generative", "A trained network: more variety from seed to seed"),
)
SOURCES = (
    ("auto", "Automatic", "Sequencer if it shows a picture, else finished renders, else the scene camera"),
    ("camera", "Scene Camera", "Draw the scene from its camera, as the viewport would"),
    ("sequencer", "Sequencer", "What the sequencer shows: movies, images, scenes and effects"),
    ("rendered", "Rendered Frames", "Frames that are already rendered to the output path"),
    ("render", "Small Render", "Render small pictures now; slower, and works without a window"),
    (
        "words",
        "Words Only",
        "No picture: what you write under Sounds Like is what is heard, as for things off screen",
    ),
)
THROUGH = (
    ("auto", "Automatic", "The best way that the model knows"),
    ("clap", "CLAP", "Words as the model that hears reads them"),
    ("clip", "CLIP", "Words as the model that sees reads them"),
    ("prior", "CLIP and Prior", "Words as a picture would look to which they fit"),
)
EVENTS = (
    (
        "scene",
        "Scene and Markers",
        "Hits that Footfall finds in the animation, and your markers; markers win",
    ),
    ("markers", "Markers Only", "Only where you have set markers, as: hit wooden box, step 0.5"),
    ("pixels", "Picture", "Hits seen in the pictures themselves, as for movies, and your markers"),
    ("list", "My List", "Only the hits of the list: nothing is looked for"),
)
SPOTS_AS = (
    ("each", "A Strip Each", "A strip for each hit, to be moved by itself; many of one kind share a meta"),
    ("mixed", "Mixed", "One strip with all hits of a kind"),
)
RANGES = (
    ("scene", "Scene", "From the first to the last frame of the scene"),
    ("preview", "Preview Range", "The preview range of the scene"),
    ("strips", "Selected Strips", "From the first to the last selected strip of the sequencer"),
)


class FOOTFALL_PG_settings(bpy.types.PropertyGroup):
    """Everything on the Footfall tab that is worth saving."""

    prompt: StringProperty(
        name="Sounds Like",
        description="Words that push the sound, as: wet gravel, small wooden room. May stay empty",
        maxlen=limits.PROMPT,
    )
    negative_prompt: StringProperty(
        name="Keep Out",
        description="Words for what should not be heard, as: music, speech",
        maxlen=limits.PROMPT,
    )
    background: StringProperty(
        name="Background",
        description="Words for the bed alone, as: rain on a window, busy street. Each hit keeps its own "
        "sound, and Sounds Like pushes the hits alone",
        maxlen=limits.PROMPT,
    )
    nudge: FloatProperty(
        name="Nudge",
        description="How far the words pull the sound: 0 is the picture alone, 1 is the words alone",
        min=0.0,
        max=1.0,
        default=0.5,
        subtype="FACTOR",
        precision=2,
    )
    takes: IntProperty(
        name="Takes",
        description="How many versions to make; the first is heard, and you step through the others",
        min=1,
        max=limits.TAKES,
        soft_max=4,
        default=1,
    )
    seed: IntProperty(
        name="Seed",
        description="The same seed and settings give the same sound again",
        min=0,
        max=2**31 - 1,
        default=0,
    )
    random_seed: BoolProperty(
        name="New Seed Each Time",
        description="Draw a new seed for each Generate, so that each one sounds different",
        default=True,
    )
    quality: EnumProperty(name="Quality", description="Speed against care", items=QUALITIES, default="good")
    bundle_name: StringProperty(name="Bundle", default="starter", maxlen=limits.NAME, options={"HIDDEN"})
    bundle: EnumProperty(
        name="Model",
        description="The model bundle that makes the sound",
        items=bundles.enum_items,
        get=bundles.get_selected,
        set=bundles.set_selected,
    )
    mapper: EnumProperty(
        name="Mapper", description="How the picture becomes a sound", items=MAPPERS, default="auto"
    )
    bed: BoolProperty(
        name="Bed", description="One continuous sound for the whole shot, following the picture", default=True
    )
    spots: BoolProperty(
        name="Spots", description="One short sound for each hit, a strip of its own on the hit", default=True
    )
    spots_as: EnumProperty(name="Spots as", description="How the spots are placed", items=SPOTS_AS)
    metas: BoolProperty(
        name="Gather in Metas",
        description="Put the strips of a kind with eight hits or more into a meta strip; Tab opens it",
        default=True,
    )
    events: EnumProperty(
        name="Find in", description="Where hits are looked for", items=EVENTS, default="scene"
    )
    least_strength: FloatProperty(
        name="Threshold",
        description="Hits weaker than this stay silent",
        min=0.0,
        max=1.0,
        default=0.0,
        subtype="FACTOR",
        precision=2,
    )
    off_screen: BoolProperty(
        name="Off Screen", description="Also find hits that the camera does not see", default=False
    )
    hidden: BoolProperty(
        name="Hidden Things", description="Also find hits of things that are not rendered", default=False
    )
    # A ducked bed keeps its dents when a spot is moved or deleted afterwards, so nothing is ducked unasked.
    duck_db: FloatProperty(
        name="Duck (dB)",
        description="How far the bed steps back under each spot: 0 not at all, 6 clearly. "
        "It stays in the bed's sound when you move a spot later",
        min=0.0,
        max=limits.DUCK_DB,
        soft_max=18.0,
        default=0.0,
        precision=1,
    )
    in_sync: BoolProperty(
        name="Bed in Sync",
        description="Shape the bed itself by the hits, for one sound without separate spots",
        default=False,
    )
    hard_cuts: BoolProperty(
        name="Hard Cuts",
        description="Switch the bed at each cut of the picture; otherwise it goes on without a seam",
        default=False,
    )
    loop: BoolProperty(
        name="Loop Bed", description="Let the end of the bed join its start, to repeat it", default=False
    )
    source: EnumProperty(
        name="Picture", description="Where the pictures come from", items=SOURCES, default="auto"
    )
    words_through: EnumProperty(
        name="Words Through",
        description="How the words reach the model where there is no picture",
        items=THROUGH,
        default="auto",
    )
    range: EnumProperty(name="Range", description="Which frames get sound", items=RANGES, default="scene")
    per_second: FloatProperty(
        name="Pictures per Second",
        description="How often Footfall looks; more pictures follow fast action better and take longer",
        min=0.5,
        max=24.0,
        default=4.0,
        precision=1,
    )

    def layers(self) -> tuple[str, ...]:
        """The layers that are switched on, in the wire's order; empty if none is."""
        return tuple(name for name in ("bed", "spots") if getattr(self, name))

    def behind(self) -> str:
        """The background where it counts: for a bed, and where words alone decide, for one behind spots."""
        return self.background.strip() if self.bed and (self.spots or self.source != "words") else ""


CLASSES = (FOOTFALL_PG_settings,)


def register() -> None:
    bpy.types.Scene.footfall = PointerProperty(type=FOOTFALL_PG_settings)


def unregister() -> None:
    bundles.forget()
    del bpy.types.Scene.footfall
