"""manifests/install/crds.yaml is what the model says."""

from __future__ import annotations

from pathlib import Path

import yaml

from gitmesh.kube.crds import crds, manifest

FILE = Path(__file__).parents[2] / "manifests" / "install" / "crds.yaml"


def test_the_installed_crds_are_those_of_the_model() -> None:
    assert FILE.read_text() == manifest(), "run: python -m gitmesh.kube.crds > manifests/install/crds.yaml"


def test_the_manifest_reads_back_as_the_definitions() -> None:
    assert list(yaml.safe_load_all(manifest())) == crds()
