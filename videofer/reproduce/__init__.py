"""Published systems on their data sets, run again and set beside what was reported."""
