rule film:
    input:
        timeline=ancient(paths.timeline("{song}")),
        asked=film_asked,
        clips=film_clips,
    output:
        report(update(paths.film("{song}")), caption=caption("film"), category="Film"),
    log:
        paths.log("films", "{song}"),
    conda:
        packages
    params:
        ffmpeg=lambda _: settings.ffmpeg,
    shell:
        "python -m songreel film {input.timeline:q} {input.clips:q} --ffmpeg={params.ffmpeg:q} --log {log:q}"
