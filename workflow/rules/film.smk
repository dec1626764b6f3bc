# The notes are no input: in a file's name Snakemake takes braces for wildcards. The output is named by them anyway.
# Only the main process has the plan, so it runs this, which takes a second.
rule tune:
    output:
        paths.tune("{tune}"),
    log:
        "results/logs/tunes/{tune}.log",
    localrule: True
    conda:
        "../../envs/songreel.yaml"
    params:
        notes=lambda _: plan.tune,
    shell:
        "python -m songreel tune {params.notes:q} {output:q} --log {log:q}"


rule film:
    input:
        timeline=paths.timeline("{song}"),
        clips=film_clips,
        tune=film_tune,
    output:
        paths.film("{song}"),
    log:
        "results/logs/films/{song}.log",
    conda:
        "../../envs/songreel.yaml"
    params:
        ffmpeg=lambda _: settings.ffmpeg,
    shell:
        "python -m songreel film {input.timeline:q} {input.clips:q} --ffmpeg={params.ffmpeg:q} --log {log:q}"
