"""What is live between a stable spec and a target: a function of both and of where a rollout stands."""
