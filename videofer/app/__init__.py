"""A local web page: drop in a video, get its report."""
