"""Istio resources to Envoy configuration, with pilot's names and defaults.

Stage: playground translation (pure).
"""

from gitmesh.playground.translate.fields import Untranslated
from gitmesh.playground.translate.translation import ProxyEntry, Translation, translate

__all__ = ["ProxyEntry", "Translation", "Untranslated", "translate"]
