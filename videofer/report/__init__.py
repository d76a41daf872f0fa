"""One HTML file that plays the video with its timeline, without a network."""
