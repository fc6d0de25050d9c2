"""The nouns that every stage shares: plain immutable values, no behaviour that needs a clock or a client.

Stage: none (pure).
"""
