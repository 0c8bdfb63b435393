"""Reports: frozen models of what was found, as terminal text and as JSON."""
