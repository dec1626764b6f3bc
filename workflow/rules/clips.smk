rule clip:
    input:
        plan=ancient(paths.clip_plan("{clip}")),
        latents=clip_latents,
    output:
        paths.clip("{clip}"),
    params:
        ffmpeg=settings.ffmpeg,
    log:
        "results/logs/clips/{clip}.log",
    threads: 1
    resources:
        gpu=1,
    conda:
        "../../envs/songreel.yaml"
    shell:
        "python -m songreel clip {input.plan:q} {input.latents:q} --ffmpeg {params.ffmpeg:q}"
        " --threads {threads} --log {log:q}"
