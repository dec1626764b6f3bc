# songreel: from a screenplay to a film. `snakemake --cores 2` renders what config.yaml asks for.


include: "workflow/rules/common.smk"  # reads config.yaml
include: "workflow/rules/models.smk"
include: "workflow/rules/keyframes.smk"
include: "workflow/rules/clips.smk"
include: "workflow/rules/film.smk"
include: "workflow/rules/storyboard.smk"


rule all:
    input:
        paths.film(song),
        paths.storyboard(song),
