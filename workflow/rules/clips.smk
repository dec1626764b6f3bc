rule clip:
    input:
        plan=ancient(paths.clip_plan("{clip}")),
        latents=clip_latents,
        weights=clip_weights,
    output:
        update(paths.clip("{clip}")),
    log:
        paths.log("clips", "{clip}"),
    conda:
        packages
    threads: line_threads
    resources:
        gpu=int(bool(gpus)),
        runtime=clip_minutes,
        mem_mb=clip_memory,
    params:
        ffmpeg=lambda _: settings.ffmpeg,
    shell:
        "python -m songreel clip {input.plan:q} {input.latents:q} --ffmpeg={params.ffmpeg:q}"
        " --threads {threads} --log {log:q}"
