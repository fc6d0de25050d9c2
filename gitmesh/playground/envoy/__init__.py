"""A real Envoy as the playground's data plane: found, started, fed by files, watched."""
