"""Translators: one function per operator, from an Operation to nodes of the Graph."""
