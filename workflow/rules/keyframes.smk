rule keyframes:
    input:
        ancient(paths.segment_plan("{segment}")),
    output:
        paths.latents("{segment}", "{keyframes}"),
    log:
        "results/logs/keyframes/{segment}-{keyframes}.log",
    threads: 1
    resources:
        gpu=1,
    conda:
        "../../envs/songreel.yaml"
    shell:
        "python -m songreel keyframes {input:q} {wildcards.keyframes} --threads {threads} --log {log:q}"
