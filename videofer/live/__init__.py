"""Timelines that grow while the video is read: files, pipes, cameras, RTSP."""
