"""Tokens: what the GPUs produce - training and inference performance, requests, energy."""
