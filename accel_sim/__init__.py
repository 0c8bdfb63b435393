"""Bit-exact and cycle-accurate simulation of integer neural-network hardware."""
