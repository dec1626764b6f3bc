# The album that comes with the pair: drawings of things and places, from which songreel composes what lines start from.


album_sources = packages.of_album()


def album():
    """The album and its notices, where all of its sources are used; a tiny pair has none."""
    if not set(album_sources) <= set(training):
        return []
    return [results / "export" / name for name in ("album.safetensors", "NOTICE.md")]


rule album:
    input:
        # Its text tower alone; what the VQGAN draws is no part of it.
        [results / "export" / name for name in PAIR if name.startswith("clip")],
        shards=[ancient(shard(name)) for name in album_sources],
        names=ancient(package("emojibase")),
        wordnet=ancient(package("wordnet")),
    output:
        results / "export" / "album.safetensors",
        results / "export" / "NOTICE.md",
    log:
        log("album"),
    conda:
        "../../../envs/starter.yaml"
    threads: 1
    params:
        pair=results / "export",
    shell:
        "python -m songreel_starter album {output[0]:q} {input.shards:q} --names {input.names:q}"
        " --wordnet {input.wordnet:q} --pair {params.pair:q} --log {log:q}"
