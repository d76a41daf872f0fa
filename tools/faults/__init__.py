"""A test bed that injects faults into real runs of the stage and counts losses."""
