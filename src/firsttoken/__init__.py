"""firsttoken: the open digital twin of the AI factory, from wafer to token."""
