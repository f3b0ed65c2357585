# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""The add-on's entry in Blender's preferences: the worker, its device, the folders. Read through
settings.py.
"""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty

from .. import folders
from . import texts
from .settings import PACKAGE, current
from .worker import setup as setup_worker

DEVICES = (
    ("auto", "Automatic", "The fastest device of this computer"),
    ("cuda", "Graphics Card", "NVIDIA (CUDA) or AMD (ROCm)"),
    ("mps", "Apple Graphics", "Metal"),
    ("cpu", "Processor", "Slower, works everywhere"),
)


class FOOTFALL_AP_preferences(bpy.types.AddonPreferences):
    """Shown below the extension's entry in Blender's preferences."""

    bl_idname = PACKAGE

    worker_folder: StringProperty(
        name="Worker Folder",
        description="Where the worker's own Python environment is kept; empty for the usual place",
        subtype="DIR_PATH",
    )
    base_python: StringProperty(
        name="Base Python",
        description="The Python that the worker's environment is made from; empty finds one",
        subtype="FILE_PATH",
    )
    device: EnumProperty(
        name="Device", description="What the sound is computed on", items=DEVICES, default="auto"
    )
    memory_limit_mb: IntProperty(
        name="Memory Limit (MB)",
        description="How much device memory the worker may use; 0 for as much as there is",
        min=0,
        max=1_000_000,
        default=0,
    )
    idle_minutes: IntProperty(
        name="Free Memory After (min)",
        description="Give the device memory back after this many minutes without a job; 0 for never",
        min=0,
        max=1_440,
        default=5,
    )
    output_folder: StringProperty(
        name="Output Folder",
        description="Where the sound files go; empty for a folder named footfall beside the .blend",
        subtype="DIR_PATH",
    )
    models_folder: StringProperty(
        name="Models Folder",
        description="Where downloaded models are kept; empty for the usual place",
        subtype="DIR_PATH",
    )
    use_remote: BoolProperty(
        name="Worker on Another Computer",
        description="Send the pictures to a worker that runs elsewhere (footfall worker --remote), with keys",
        default=False,
    )
    remote_address: StringProperty(
        name="Address", description="Where that worker listens, as 192.168.1.20:5599", maxlen=300
    )
    remote_keys: StringProperty(
        name="Keys",
        description="The artist part of the keys that footfall worker --make-keys has made there",
        subtype="DIR_PATH",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        setup_worker.draw(layout, current(), width=90)
        column = layout.column(heading="Worker")
        column.prop(self, "device")
        column.prop(self, "memory_limit_mb")
        column.prop(self, "idle_minutes")
        column = layout.column(heading="Folders")
        self._draw_folder(column, "output_folder", "beside the .blend, in footfall/")
        self._draw_folder(column, "models_folder", str(folders.models_folder()))
        header, body = layout.panel("footfall_more", default_closed=True)
        header.label(text="More")
        if body is not None:
            self._draw_folder(body, "worker_folder", str(folders.worker_folder()))
            body.prop(self, "base_python", placeholder="the first that suits")
            body.prop(self, "use_remote")
            column = body.column()
            column.active = self.use_remote
            column.prop(self, "remote_address", placeholder="192.168.1.20:5599")
            column.prop(self, "remote_keys")

    def _draw_folder(self, layout: bpy.types.UILayout, name: str, usual: str) -> None:
        """A folder and, while it is empty, the place that is used instead."""
        layout.prop(self, name, placeholder=texts.clean(usual, 90))


CLASSES = (FOOTFALL_AP_preferences,)
