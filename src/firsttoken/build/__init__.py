"""Construction and commissioning: stochastic critical path and reference-class forecasts."""
