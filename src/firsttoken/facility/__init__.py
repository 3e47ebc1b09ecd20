"""Sites: power chain, liquid cooling, weather, redundancy and failure cascades."""
