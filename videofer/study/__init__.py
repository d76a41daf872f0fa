"""Many videos: their timelines, one table of all rows, and a page that compares them."""
