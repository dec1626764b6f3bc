localrules:
    fetch,  # the one job that needs a network, which compute nodes may lack


rule fetch:
    output:
        update(package("{source}")),
    log:
        log("fetch", "{source}"),
    conda:
        "../../../envs/starter.yaml"
    shell:
        "python -m songreel_starter fetch {wildcards.source} {output:q} --log {log:q}"


rule render:
    input:
        package=ancient(package("{source}")),
        names=ancient(package("emojibase")),
    output:
        update(shard("{source}")),
    log:
        log("render", "{source}"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        most=config["most"],
    shell:
        "python -m songreel_starter render {wildcards.source} {input.package:q} {input.names:q} {output:q}"
        " --most {params.most} --log {log:q}"


rule paint:
    input:
        lambda wildcards: [ancient(shard(name)) for name in halves[wildcards.half]],
    output:
        pictures=update(results / "scenes" / "{half}" / "{number}.npy"),
        captions=update(results / "scenes" / "{half}" / "{number}.txt"),
    log:
        log("paint", "{half}-{number}"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        scenes="--count {per_file} --side {side} --seed {seed}".format(**config),
    shell:
        "python -m songreel_starter paint {output.pictures:q} {input:q} --number {wildcards.number} {params.scenes}"
        " --log {log:q}"


rule texts:
    input:
        shards=[ancient(shard(name)) for name in training],
        wordnet=[ancient(package("wordnet"))] if config["glosses"] else [],
    output:
        texts(),
    log:
        log("texts"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        wordnet=lambda _, input: f"--wordnet={input.wordnet}" if input.wordnet else "",
        number=config["texts"],
        seed=config["seed"],
    shell:
        "python -m songreel_starter texts {output:q} {input.shards:q} {params.wordnet} --count {params.number}"
        " --seed {params.seed} --log {log:q}"


rule look:
    input:
        [ancient(shard(name)) for name in training],
    output:
        sheets(),
    log:
        log("look"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        folder=sheets()[0].parent,
        number=config["sheet"],
        side=config["side"],
        seed=config["seed"],
    shell:
        "python -m songreel_starter look {params.folder:q} {input:q} --count {params.number} --side {params.side}"
        " --seed {params.seed} --log {log:q}"
