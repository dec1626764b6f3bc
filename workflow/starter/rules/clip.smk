rule train_clip:
    input:
        text=text_tower(),
        scenes=ancient(scenes("steering")),
        shards=[ancient(shard(name)) for name in halves["steering"]],
    output:
        update(clip()),
        update(clip().with_suffix(".yaml")),
    log:
        log("train_clip"),
    conda:
        "../../../envs/starter.yaml"
    threads: 2
    resources:
        gpu=1,
    params:
        tower="--width {clip_width} --layers {clip_layers} --side {clip_side}".format(
            **config
        ),
        training="--steps {clip_steps} --pushed-from {clip_pushed_from}"
        " --batch {clip_batch} --seed {seed}".format(**config),
    shell:
        "python -m songreel_starter train-clip {output[0]:q} --text {input.text:q} --scenes {input.scenes:q}"
        " --shards {input.shards:q} {params.tower} {params.training} --threads {threads} --log {log:q}"


rule embed_captions:
    input:
        texts=ancient(captions("judging")),
        teacher=[ancient(package("minilm"))] if config["teacher"] == "minilm" else [],
    output:
        results / "scenes" / "judging.npy",
    log:
        log("embed_captions"),
    conda:
        "../../../envs/starter.yaml"
    threads: 2
    params:
        teacher=lambda _, input: f"--teacher={input.teacher}" if input.teacher else "",
    shell:
        "python -m songreel_starter embed {output:q} {input.texts:q} {params.teacher} --threads {threads}"
        " --log {log:q}"


rule train_judge:
    input:
        captions=results / "scenes" / "judging.npy",
        scenes=ancient(scenes("judging")),
        shards=[ancient(shard(name)) for name in halves["judging"]],
        teacher=[ancient(package("minilm"))] if config["teacher"] == "minilm" else [],
    output:
        update(judge()),
    log:
        log("train_judge"),
    conda:
        "../../../envs/starter.yaml"
    threads: 2
    resources:
        gpu=1,
    params:
        teacher=lambda _, input: f"--teacher={input.teacher}" if input.teacher else "",
        training="--steps {judge_steps} --batch {clip_batch}".format(**config)
        + f" --seed {config['seed'] + 1}",
    shell:
        "python -m songreel_starter train-judge {output:q} --captions {input.captions:q} --scenes {input.scenes:q}"
        " --shards {input.shards:q} {params.teacher} {params.training} --threads {threads} --log {log:q}"
