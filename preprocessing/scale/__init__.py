"""Plans a run over an archive that is too large to try out, by arithmetic and an event simulation."""
