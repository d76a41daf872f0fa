"""What people say of a video: their annotation files as intervals, as a manifest, and beside a timeline."""
