"""Production lines and fabs: event simulation, analysis and forecast."""
