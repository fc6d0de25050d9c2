"""Kinds that GitMesh does not manage, held against the schemas of their CustomResourceDefinitions."""
