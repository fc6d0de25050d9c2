"""Say where a rollout goes next."""
