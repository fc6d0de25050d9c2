"""What holds for the whole mesh: the ConfigMap `istio` of istio-system, as far as the playground reads it.

Stage: playground translation (pure). Source: istio.io, Global Mesh Options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from gitmesh.model.kinds import CONFIG_MAP
from gitmesh.model.resource import ResourceSet
from gitmesh.playground.translate.destinations import ROOT_NAMESPACE
from gitmesh.playground.translate.fields import Field, Reports

KEY = CONFIG_MAP.key(ROOT_NAMESPACE, "istio")
_READ = ("outboundTrafficPolicy", "defaultHttpRetryPolicy")
_CHARACTERS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """Defaults that objects override. Empty: Istio's own."""

    outbound_policy: str = ""
    default_retries: Field | None = None


def read_mesh_config(resources: ResourceSet, reports: Reports) -> MeshConfig:
    """Return the mesh's options; what cannot be read counts as not being there."""
    resource = resources.get(KEY)
    data = resource.body.get("data") if resource is not None else None
    text = data.get("mesh") if isinstance(data, Mapping) else None
    if not isinstance(text, str):
        return MeshConfig()
    root = Field(KEY, ("data", "mesh"), _parsed(text), reports)
    if not isinstance(root.value, Mapping):
        root.report("is not a YAML mapping")
        return MeshConfig()
    for name, option in root.entries():
        if name not in _READ:
            option.report("is not translated by the playground")
    retries = root["defaultHttpRetryPolicy"]
    mode = root["outboundTrafficPolicy"]["mode"].text()
    return MeshConfig(mode, retries if retries.present else None)


def _parsed(text: str) -> object:
    try:
        return yaml.safe_load(text[:_CHARACTERS_MAX])
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
