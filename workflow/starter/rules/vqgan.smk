def vqgan():
    return [results / name for name in ("vqgan.safetensors", "vqgan.yaml")]


rule train_vqgan:
    input:
        clip=clip(),
        scenes=[ancient(path) for half in HALVES for path in scenes(half)],
    output:
        vqgan(),
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
