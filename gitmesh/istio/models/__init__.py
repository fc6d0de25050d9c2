"""The specs of Istio's traffic kinds as strict, immutable pydantic models, as of Istio 1.30.

Stage: parse, validate, decide, plan (pure).
"""
