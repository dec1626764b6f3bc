rule keyframes:
    input:
        ancient(paths.segment_plan("{segment}")),
    output:
        update(paths.latents("{segment}", "{keyframes}")),
    log:
        paths.log("keyframes", "{segment}-{keyframes}"),
    conda:
        "../../envs/songreel.yaml"
    threads: 1
    resources:
        gpu=gpus_per_job(),
    shell:
        "python -m songreel keyframes {input:q} {wildcards.keyframes} --threads {threads} --log {log:q}"
