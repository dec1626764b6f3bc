# How good the new pair is, beside the first one. The new pair is evaluated as it is exported, in float16.

PAIR = "clip.safetensors", "clip.yaml", "vqgan.safetensors", "vqgan.yaml"


wildcard_constraints:
    pair="first|export",
    sheet="first|sheet",


held_out = [config["test_style"]]
phrases = f"--phrases '{Path(workflow.basedir) / 'phrases.txt'}' --most {config['evaluated_phrases']}"
trained = Path(config["pair"] or results)
pair_folders = [results / "first", results / "export"]
# The VQGAN before its decoder was trained again, where that happens here.
before = [] if config["pair"] else unfinished()


def pair(name):
    """A pair's files: `first`, or `export`, the new one."""
    return [results / name / file for file in PAIR]


def evaluation(*names):
    return results.joinpath("evaluation", *names)


def keyframes(name):
    return [
        evaluation("keyframes", name, f"{number}.npz")
        for number in range(config["phrase_files"])
    ]


def film_of(pair):
    """A film's settings unlike a draft's."""
    return f"{config['film']} {config['first_film'] if pair == 'first' else ''}".strip()


def teacher():
    return [ancient(package("minilm"))] if config["teacher"] == "minilm" else []


def card():
    return results / "export" / "CARD.md"


rule first_pair:
    output:
        pair("first"),
    log:
        log("first_pair"),
    conda:
        "../../../envs/starter.yaml"
    params:
        folder=results / "first",
    shell:
        "python -m songreel_starter first-pair {params.folder:q} --log {log:q}"


rule export:
    input:
        [trained / name for name in PAIR],
    output:
        pair("export"),
    log:
        log("export"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        trained=trained,
        folder=results / "export",
    shell:
        "python -m songreel_starter export {params.trained:q} {params.folder:q} --log {log:q}"


rule keyframes:
    input:
        lambda wildcards: pair(wildcards.pair),
    output:
        update(evaluation("keyframes", "{pair}", "{number}.npz")),
    log:
        log("keyframes", "{pair}-{number}"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        folder=lambda wildcards: results / wildcards.pair,
        phrases=f"{phrases} --files {config['phrase_files']}",
        keyframes=config["evaluated_keyframes"],
        film=lambda wildcards: film_of(wildcards.pair),
    shell:
        "python -m songreel_starter keyframes {output:q} {params.folder:q} {params.phrases}"
        " --number {wildcards.number} --keyframes {params.keyframes} --film {params.film} --log {log:q}"


rule judge:
    input:
        judge=judge(),
        teacher=teacher(),
        pictures=keyframes("first") + keyframes("export"),
        scenes=[ancient(file) for file in scenes("steering")],
    output:
        evaluation("judged.json"),
    log:
        log("judge"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        teacher=lambda _, input: f"--teacher={input.teacher}" if input.teacher else "",
        phrases=phrases,
    shell:
        "python -m songreel_starter judge {output:q} {input.judge:q} {input.pictures:q} {params.teacher}"
        " --scenes {input.scenes:q} {params.phrases} --log {log:q}"


rule retrieval:
    input:
        style=ancient(shard(config["test_style"])),
        judge=judge(),
        teacher=teacher(),
        pairs=pair("first") + pair("export"),
    output:
        evaluation("retrieval.json"),
    log:
        log("retrieval"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        teacher=lambda _, input: f"--teacher={input.teacher}" if input.teacher else "",
        pairs=pair_folders,
        scenes="--side {side} --seed {seed}".format(**config),
    shell:
        "python -m songreel_starter retrieval {output:q} {input.style:q} {params.pairs:q} {params.teacher}"
        " --judge {input.judge:q} {params.scenes} --log {log:q}"


rule reconstruction:
    input:
        styles=[ancient(shard(name)) for name in held_out],
        pairs=pair("first") + pair("export") + before,
    output:
        evaluation("reconstruction.json"),
    log:
        log("reconstruction"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        pairs=pair_folders + [file.parent for file in before[:1]],
        scenes="--count {held_out_scenes} --side {side} --seed {seed}".format(**config),
    shell:
        "python -m songreel_starter reconstruction {output:q} {params.pairs:q} --styles {input.styles:q}"
        " {params.scenes} --log {log:q}"


rule grid:
    input:
        pairs=pair("first") + pair("export"),
        pictures=keyframes("first") + keyframes("export"),
    output:
        evaluation("grid.json"),
    log:
        log("grid"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        pairs=pair_folders,
        phrases=phrases,
    shell:
        "python -m songreel_starter grid {output:q} {params.pairs:q} --pictures {input.pictures:q} {params.phrases}"
        " --log {log:q}"


rule speed:
    input:
        pair("first") + pair("export"),
    output:
        evaluation("speed.json"),
    log:
        log("speed"),
    conda:
        "../../../envs/starter.yaml"
    threads: workflow.cores  # it uses one; nothing else may run while it measures
    params:
        pairs=pair_folders,
        rounds="--rounds {speed_rounds} --iterations {speed_iterations}".format(
            **config
        ),
        film=config["film"],
    shell:
        "python -m songreel_starter speed {output:q} {params.pairs:q} {params.rounds} --film {params.film}"
        " --log {log:q}"


rule sheet:
    input:
        lambda wildcards: keyframes("first" if wildcards.sheet == "first" else "export"),
    output:
        results / "export" / "{sheet}.jpg",
    log:
        log("sheet", "{sheet}"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        phrases=f"{phrases} --count {config['shown_phrases']}",
    shell:
        "python -m songreel_starter sheet {output:q} {input:q} {params.phrases} --log {log:q}"


rule card:
    input:
        pair("export"),
        lambda wildcards: album(),  # defined further on
        sheets=[results / "export" / f"{name}.jpg" for name in ("first", "sheet")],
        judged=evaluation("judged.json"),
        retrieval=evaluation("retrieval.json"),
        reconstruction=evaluation("reconstruction.json"),
        grid=evaluation("grid.json"),
        speed=evaluation("speed.json"),
        styles=[ancient(shard(name)) for name in dict.fromkeys(pictured + held_out)],
    output:
        card(),
    log:
        log("card"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        logs=results / "logs",
        shown=config["shown_phrases"],
        device=config["trained_on"],
    shell:
        "python -m songreel_starter card {output:q} --judged {input.judged:q} --retrieval {input.retrieval:q}"
        " --reconstruction {input.reconstruction:q} --grid {input.grid:q} --speed {input.speed:q} --styles {input.styles:q}"
        " --logs {params.logs:q} --shown {params.shown} --trained-on {params.device:q} --log {log:q}"
