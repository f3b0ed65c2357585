/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Footfall as a job type of Flamenco: put this file into the Manager's "scripts" folder, press refresh in the
 * Flamenco panel of Blender's output properties, choose "Footfall Foley" and submit. The settings below become the panel.
 *
 * Task types: "capture" and "place" need Blender, "gpu-audio" needs the worker's packages and wants a graphics
 * card; give Workers the types that suit them.
 */
const JOB_TYPE = {
  label: "Footfall Foley",
  description: "Sound for every shot of this file: capture, generate, place",
  settings: [
    {
      key: "blendfile",
      type: "string",
      required: true,
      visible: "web",
      eval: "bpy.data.filepath",
      description: "The file whose shots are to get sound",
    },
    {
      key: "job_folder",
      type: "string",
      subtype: "dir_path",
      required: true,
      visible: "submission",
      eval: "str(Path(bpy.data.filepath).parent / 'footfall-farm' / Path(bpy.data.filepath).stem)",
      evalInfo: { showLinkButton: true, description: "A folder beside the .blend, of this job alone" },
      description: "A folder that all machines share, of this job alone",
    },
    {
      key: "result",
      type: "string",
      subtype: "file_path",
      required: true,
      visible: "submission",
      eval: "str(Path(bpy.data.filepath).parent / 'with_sound' / Path(bpy.data.filepath).name)",
      evalInfo: { showLinkButton: true, description: "In with_sound, beside the .blend" },
      description: "The copy of the file with its sound",
    },
    {
      key: "shots",
      type: "string",
      choices: ["auto", "markers", "scenes", "scene_strips", "movie_strips", "meta_strips"],
      propargs: {},
      default: "auto",
      visible: "submission",
      description: "What is a shot",
    },
    {
      key: "shot_count",
      type: "int32",
      default: 1,
      propargs: { min: 1, max: 2000 },
      eval: "max(1, sum(1 for m in C.scene.timeline_markers if m.camera))",
      evalInfo: { showLinkButton: true, description: "As many as there are camera markers" },
      visible: "submission",
      description: "How many shots the file has; more than there are does no harm",
    },
    {
      key: "shots_per_task",
      type: "int32",
      default: 8,
      propargs: { min: 1, max: 2000 },
      visible: "submission",
      description: "The model is loaded once for each task",
    },
    { key: "prompt", type: "string", default: "", visible: "submission", description: "Words that push the sound" },
    {
      key: "background",
      type: "string",
      default: "",
      visible: "submission",
      description: "Words for the bed alone, as rain on a window; each hit keeps its own sound",
    },
    {
      key: "layers",
      type: "string",
      choices: ["bed,spots", "bed", "spots"],
      default: "bed,spots",
      visible: "submission",
      description: "One continuous sound, a short one for each hit, or both",
    },
    {
      key: "quality",
      type: "string",
      choices: ["draft", "good", "best"],
      default: "good",
      visible: "submission",
      description: "Speed against care",
    },
    { key: "model", type: "string", default: "starter", visible: "submission", description: "The model bundle" },
    {
      key: "source",
      type: "string",
      choices: ["render", "rendered", "auto", "camera", "sequencer", "words"],
      default: "render",
      visible: "submission",
      description: "Where the pictures come from; machines without a display need render or rendered",
    },
    {
      key: "footfall",
      type: "string",
      default: "footfall",
      visible: "hidden",
      description: "The footfall program on the farm's machines",
    },
  ],
};

function compileJob(job) {
  const settings = job.settings;
  const capture = step("capture", "capture", settings.footfall, [
    "capture",
    settings.blendfile,
    "--to=" + settings.job_folder,
    "--shots=" + settings.shots,
    "--prompt=" + settings.prompt,
    "--background=" + settings.background,
    "--layers=" + settings.layers,
    "--quality=" + settings.quality,
    "--model=" + settings.model,
    "--source=" + settings.source,
  ]);
  job.addTask(capture);
  const place = step("place", "place", settings.footfall, [
    "place",
    settings.blendfile,
    "--from=" + settings.job_folder,
    "--save-as=" + settings.result,
  ]);
  for (let first = 1; first <= settings.shot_count; first += settings.shots_per_task) {
    const last = Math.min(first + settings.shots_per_task - 1, settings.shot_count);
    const numbers = first === last ? String(first) : first + "-" + last;
    const generate = step("generate-" + numbers, "gpu-audio", settings.footfall, [
      "generate",
      settings.job_folder,
      "--shot=" + numbers,
    ]);
    generate.addDependency(capture);
    place.addDependency(generate);
    job.addTask(generate);
  }
  job.addTask(place);
}

function step(name, type, program, words) {
  const task = author.Task(name, type);
  task.addCommand(author.Command("exec", { exe: program, args: ["farm"].concat(words) }));
  return task;
}
