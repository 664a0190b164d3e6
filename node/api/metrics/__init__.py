"""What a node shows Prometheus, gathered from the parts that know it."""
