# The plan is made while Snakemake reads this file, and by the main process only: a job on a cluster reads it again
# when the screenplay may already have been edited, so jobs find everything in the plan files and by name.

import sys
from pathlib import Path

# The package of a checkout, whoever includes this file; an installed one is found without help.
rules_folder = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
if (rules_folder.parent / "songreel").is_dir():
    sys.path.insert(0, str(rules_folder.parent))

from songreel.display import announcing as display
from songreel.upkeep import damage, places, running
from songreel import data
from songreel.costs import history, request, sharing
from songreel.jobs import host, leases, slurm, workers
from songreel.planning import owners, starts
from songreel.ground import shortage
from songreel.planning import plan as planning
from songreel.models import weights as models
from songreel.planning.config import read as read_config
from songreel.planning.config import resolve
from songreel.ground.documents import ClipPlan, SegmentRecipe, Timeline
from songreel.jobs.environment import hand_on, threads_per_job
from songreel.ground.errors import UserError, sentence
from songreel.ground.files import filled, set_aside
from songreel.ground.paths import Paths
from songreel.ground.messages import fail, say, say_first
from songreel.ground.stops import stop_jobs_too
from songreel.drawing import film as ffmpeg
from songreel.storyboard import about, live, outlining


wildcard_constraints:
    segment="[0-9a-f]{16}",
    clip="[0-9a-f]{16}",
    keyframes="[0-9]+",
    weights="[A-Za-z0-9_.@-]+-[0-9a-f]{16}",
    song="[A-Za-z0-9_][A-Za-z0-9_.-]*",


def stop(error):
    """End with one sentence instead of a traceback."""
    fail(str(error))
    sys.exit(1)


try:
    host.settle(workflow)
    if not host.has_config_of_its_own(workflow):
        read_config(Path("config.yaml"))
except UserError as error:
    stop(error)


configfile: "config.yaml"


host.share_workers(workflow)
gpus = leases.devices()

try:
    settings = resolve(config)
    paths = Paths(settings.results)
    plan = None
    if workflow.is_main_process:
        with filled(paths.root):  # where planning keeps what it has found out
            plan = planning.make(settings, paths)
    song = plan.song if plan else owners.folder(settings.screenplay, paths)
    outdated, page_outdated = False, False
    if plan:
        places.check_folders(song, paths)
        places.check_notes()
        say_first(plan.notes)
        # Before anything is looked for that a removal could take away.
        running.protect(plan, paths)
        for fault in damage.in_plans(plan, paths):
            display.damaged(
                workflow,
                f"{fault}; it is now {set_aside(fault.path).name}, and written again.",
            )
        planning.write(plan, paths)
        outlining.write(plan, settings, paths)
        about.write(plan, config, settings.screenplay, paths)
        say(f"sound: {plan.sound}")
        if plan.album:
            say(f"album: {starts.note(plan.album, plan.starts)}")
        for fault in damage.find(plan, paths):
            display.damaged(
                workflow,
                f"{fault}; it is now {set_aside(fault.path).name}, and rendered again.",
            )
        missing = planning.missing_latents(plan, paths)
        planning.settle_starts(plan, missing, paths)
        outdated = damage.is_outdated(plan, paths)
        page_outdated = live.ask(song, paths)
        if outdated or page_outdated or not paths.film(song).exists():
            places.check_page(song, paths)
except UserError as error:
    stop(error)
except OSError as error:
    stop(sentence(error))
except MemoryError as error:
    stop(shortage.sentence(error))

if workflow.is_main_process:
    slurm.mend()

# With --use-conda. Snakemake takes what is in braces for a wildcard, also in the path of a checkout.
packages = str(data.CONDA).replace("{", "{{").replace("}", "}}")

if gpus and plan and workflow.local_exec:
    per_gpu = sharing.jobs_per_gpu(
        settings.jobs_per_gpu,
        plan,
        settings.micro_batch,
        history.here(paths),
        workflow.cores or 1,
        len(gpus),
    )
else:
    per_gpu = 1
hand_on(song, per_gpu)
host.bring_package(workflow)
if plan:
    display.announce(workflow, plan, paths, settings.screenplay, per_gpu)
if gpus:
    # Unless the user or the profile says how many lines at a time, they are as many as the devices take.
    workflow.global_resources.setdefault("gpu", len(gpus) * per_gpu)


def line_threads(_):
    """The CPU threads of one line's job; on a GPU they would wait for each other."""
    if gpus or not plan or not workflow.local_exec:
        return 1
    return threads_per_job(workflow.cores, len(plan.segments))


if plan and workers.are_shared():
    at_once = len(gpus) * per_gpu or workflow.cores or 1
    undrawn = [clip for clip in plan.clips if not paths.clip(clip).exists()]
    workers.prepare(min(at_once, len(missing) + len(undrawn)), line_threads(None))


onstart:
    display.await_begin(workflow)
    try:
        places.check_results(song, paths)
    except OSError as error:
        stop(sentence(error))
    stop_jobs_too()
    # Only now does Snakemake say where it runs jobs.
    if host.renders_here(workflow) != workers.are_shared():
        host.share_workers(workflow)
    if plan:
        live.begin(song, paths, ffmpeg.executable(settings.ffmpeg))


onsuccess:
    host.end_timers()


onerror:
    host.end_timers()
    if plan:
        live.show(song, paths)


# What `snakemake --report` begins with; of another's workflow that tells.
if not host.is_part(workflow):

    report: str(paths.about(song).absolute())


def caption(name):
    """What the report says of a result."""
    return str(rules_folder.parent / f"report/{name}.rst")


def converted(name):
    """A model in the cache, ready to load."""
    return str(models.converted(name))


speeds = history.on_nodes(paths)
keyframes_rule = workflow.modifier.modify_rulename(
    "keyframes"
)  # what another's workflow may call it


def segment_minutes(wildcards, attempt):
    recipe = SegmentRecipe.read(paths.segment_plan(wildcards.segment))
    iterations = request.iterations(recipe, int(wildcards.keyframes))
    return request.minutes(speeds, history.optimising(recipe), iterations, attempt)


def segment_memory(wildcards, attempt):
    recipe = SegmentRecipe.read(paths.segment_plan(wildcards.segment))
    gpu = workflow.resource_settings.overwrite_resources.get(keyframes_rule, {}).get(
        "gpu"
    )
    # Only a scheduler wants to know what an iteration keeps, and to estimate it takes a while.
    on_cpu = not workflow.local_exec and not (gpu and gpu.value)
    return request.megabytes(recipe, settings.micro_batch, on_cpu, attempt)


def clip_minutes(wildcards, attempt):
    clip = ClipPlan.read(paths.clip_plan(wildcards.clip))
    recipe = SegmentRecipe.read(paths.segment_plan(clip.shown.segment))
    return request.minutes(
        speeds, history.drawing(recipe, clip), clip.shown.frames, attempt
    )


def clip_memory(wildcards, attempt):
    clip = ClipPlan.read(paths.clip_plan(wildcards.clip))
    recipe = SegmentRecipe.read(paths.segment_plan(clip.shown.segment))
    return request.drawing_megabytes(recipe, attempt)


def segment_models(segment):
    """The models that a segment is rendered with, the VQGAN first, unless they came with songreel."""
    return models.brought(SegmentRecipe.read(paths.segment_plan(segment)))


def segment_weights(wildcards):
    return [ancient(str(model.tensors)) for model in segment_models(wildcards.segment)]


def segment_before(wildcards):
    """The latents that a line goes on from which starts where the line before ends; see `clip_latents`."""
    recipe = SegmentRecipe.read(paths.segment_plan(wildcards.segment))
    needs = plan.needs if plan else {}
    files = planning.latents_before(wildcards.segment, recipe, needs, paths)
    return [ancient(str(path)) for path in files]


def clip_weights(wildcards):
    segment = ClipPlan.read(paths.clip_plan(wildcards.clip)).shown.segment
    drawn_by = SegmentRecipe.read(paths.segment_plan(segment)).model.name
    return [
        ancient(str(model.tensors))
        for model in segment_models(segment)
        if model.name == drawn_by
    ]


def song_models():
    """The models in the cache that the song's lines are rendered with."""
    return [model for segment in plan.segments for model in segment_models(segment)]


try:
    is_first = host.add_song(workflow, paths.root, song_models)
except UserError as error:
    stop(error)


def model_name(wildcards):
    """What config.yaml calls a model in the cache, be it this song's or another module's."""
    used = [model for told in host.songs(workflow).values() for model in told()]
    return next(model.name for model in used if model.tensors.stem == wildcards.weights)


def clip_latents(wildcards):
    """The latents a clip is drawn from, already there or to be rendered; none for a clip that outlived them.

    Else rendering them for another clip would draw this one again, for which the line before is rendered, and so on.
    """
    clip = ClipPlan.read(paths.clip_plan(wildcards.clip))
    files = planning.latents_of(clip, plan.needs if plan else {}, paths)
    outlived = paths.clip(wildcards.clip).exists() and not all(map(Path.exists, files))
    return [] if outlived else [ancient(str(path)) for path in files]


def film_clips(wildcards):
    """A film's clips in order."""
    clips = Timeline.read(paths.timeline(wildcards.song)).clips
    return [ancient(str(paths.clip(entry.clip))) for entry in clips]


def film_asked(wildcards):
    """A file that is newer than a film which is an older plan's; Snakemake would not see that by itself."""
    return [str(paths.film_asked(song))] if outdated and wildcards.song == song else []


def storyboard_asked(wildcards):
    """As `film_asked`, of a storyboard that is not the plan's."""
    asked = page_outdated and wildcards.song == song
    return [str(paths.storyboard_asked(song))] if asked else []
