rule tune:
    input:
        ancient(paths.tune_plan("{tune}")),
    output:
        paths.tune("{tune}"),
    log:
        paths.log("tunes", "{tune}"),
    conda:
        packages
    shell:
        "python -m songreel tune {input:q} {output:q} --log {log:q}"


rule film:
    input:
        timeline=ancient(paths.timeline("{song}")),
        asked=film_asked,
        clips=film_clips,
        tune=film_tune,
    output:
        update(paths.film("{song}")),
    log:
        paths.log("films", "{song}"),
    conda:
        packages
    params:
        ffmpeg=lambda _: settings.ffmpeg,
    shell:
        "python -m songreel film {input.timeline:q} {input.clips:q} --ffmpeg={params.ffmpeg:q} --log {log:q}"
