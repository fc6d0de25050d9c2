"""Where a workload is, as its labels tell.

Stage: playground translation (pure). Source: istio.io, Locality Load Balancing.
"""

from __future__ import annotations

from collections.abc import Mapping

TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
_ISTIO_LOCALITY = "istio-locality"  # region.zone.subzone
PLACE_LABELS = frozenset({_ISTIO_LOCALITY, *TOPOLOGY})


def locality_of(labels: Mapping[str, str]) -> str:
    """Return the place that labels tell, as `region/zone/subzone`; empty when they tell none.

    Source: istio.io, Locality Load Balancing: the label of the Pod comes before those of its node, which the
    playground does not have, so that the Pod itself bears them.
    """
    if labels.get(_ISTIO_LOCALITY):
        text = labels[_ISTIO_LOCALITY]
        return text if "/" in text else text.replace(".", "/")
    return "/".join(labels.get(name, "") for name in TOPOLOGY).rstrip("/")
