"""What a run would take: from a look at a sample of the inputs, and from excerpts that are processed."""
