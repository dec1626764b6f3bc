rule embed:
    input:
        texts=texts(),
        teacher=[ancient(package("minilm"))] if config["teacher"] == "minilm" else [],
    output:
        vectors(),
    log:
        log("embed"),
    conda:
        "../../../envs/starter.yaml"
    threads: 2
    params:
        teacher=lambda _, input: f"--teacher={input.teacher}" if input.teacher else "",
    shell:
        "python -m songreel_starter embed {output:q} {input.texts:q} {params.teacher} --threads {threads}"
        " --log {log:q}"


rule train_text:
    input:
        texts=texts(),
        vectors=vectors(),
    output:
        text_tower(),
    log:
        log("train_text"),
    conda:
        "../../../envs/starter.yaml"
    threads: 2
    params:
        tower="--embed {embed} --width {text_width} --layers {text_layers} --context {context}".format(
            **config
        ),
        training="--steps {text_steps} --batch {text_batch} --seed {seed}".format(
            **config
        ),
    shell:
        "python -m songreel_starter train-text {output:q} {input.texts:q} {input.vectors:q} {params.tower}"
        " {params.training} --threads {threads} --log {log:q}"
