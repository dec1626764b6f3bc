rule keyframes:
    input:
        plan=ancient(paths.segment_plan("{segment}")),
        weights=segment_weights,
        before=segment_before,
    output:
        update(paths.latents("{segment}", "{keyframes}")),
    log:
        paths.log("keyframes", "{segment}-{keyframes}"),
    conda:
        packages
    threads: line_threads
    resources:
        gpu=int(bool(gpus)),
        runtime=segment_minutes,
        mem_mb=segment_memory,
    params:
        micro_batch=lambda _: settings.micro_batch,
    shell:
        "python -m songreel keyframes {input.plan:q} {wildcards.keyframes} --micro-batch {params.micro_batch}"
        " --threads {threads} --log {log:q}"
