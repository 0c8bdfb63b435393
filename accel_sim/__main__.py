"""`python -m accel_sim` is the command `accel-sim`."""

from accel_sim.cli import main

main()
