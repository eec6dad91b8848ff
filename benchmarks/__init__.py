"""`make bench`: how fast the platform is, as ratios against something that does the same work beside it."""
