VQGAN = "vqgan.safetensors", "vqgan.yaml"


def vqgan():
    return [results / name for name in VQGAN]


def unfinished():
    """The VQGAN whose decoder leaves a grid."""
    return [results / "unfinished" / name for name in VQGAN]


rule train_vqgan:
    input:
        clip=clip(),
        scenes=[ancient(path) for half in HALVES for path in scenes(half)],
    output:
        unfinished(),
    log:
        log("train_vqgan"),
    conda:
        "../../../envs/starter.yaml"
    threads: 2
    params:
        model="--codes {codes} --blocks {vqgan_blocks}".format(**config),
        training="--steps {vqgan_steps} --autoencoder-steps {autoencoder_steps} --adversarial-from {adversarial_from}"
        " --batch {vqgan_batch} --crop {crop} --seed {seed}".format(**config),
    shell:
        "python -m songreel_starter train-vqgan {output[0]:q} {input.clip:q} {input.scenes:q} {params.model}"
        " {params.training} --threads {threads} --log {log:q}"


rule train_decoder:
    input:
        unfinished(),
        clip=clip(),
        scenes=[ancient(path) for half in HALVES for path in scenes(half)],
    output:
        vqgan(),
    log:
        log("train_decoder"),
    conda:
        "../../../envs/starter.yaml"
    threads: 2
    params:
        trained=unfinished()[0].parent,
        training="--channels {deblock} --steps {decoder_steps} --batch {decoder_batch} --crop {decoder_crop}"
        " --seed {seed}".format(**config),
    shell:
        "python -m songreel_starter train-decoder {output[0]:q} {params.trained:q} {input.clip:q} {input.scenes:q}"
        " {params.training} --threads {threads} --log {log:q}"
