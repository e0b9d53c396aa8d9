"""The four kinds as CustomResourceDefinitions, generated from typed definitions.

    crds()               CRD objects by name, as plain dicts
    write_crds(folder)   the same as YAML files; `stale_crds` says which would change

`fields` are the words, `blueprint` and `kinds` the definitions, `crd` puts them together;
`core_types` has what is Kubernetes' own (`prune` refreshes it). Nothing here is needed to run the
controllers: neither `warmclaim.api` nor the start path imports it.
"""

from warmclaim.api.schema.crd import WebhookConversion, crds
from warmclaim.api.schema.files import crd_files, stale_crds, write_crds

__all__ = ["WebhookConversion", "crd_files", "crds", "stale_crds", "write_crds"]
