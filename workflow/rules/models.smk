# The one job that needs a network, which compute nodes may lack. The first module's fetches for all of them.
if is_first:

    rule fetch:
        output:
            update(converted("{weights}")),
        log:
            paths.log("fetch", "{weights}"),
        localrule: True
        conda:
            packages
        params:
            name=model_name,
        shell:
            "python -m songreel fetch --log {log:q} -- {params.name:q}"
