rule storyboard:
    input:
        timeline=ancient(paths.timeline("{song}")),
        outline=ancient(paths.outline("{song}")),
        asked=storyboard_asked,
        film=paths.film("{song}"),
    output:
        report(
            update(paths.storyboard("{song}")),
            caption=caption("storyboard"),
            category="Storyboard",
        ),
    log:
        paths.log("storyboards", "{song}"),
    localrule: True
    conda:
        packages
    params:
        ffmpeg=lambda _: settings.ffmpeg,
    shell:
        "python -m songreel storyboard {input.timeline:q} --ffmpeg={params.ffmpeg:q} --log {log:q}"
