"""The video again, with what the timeline says drawn into it."""
