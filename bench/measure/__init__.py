"""What `bench/quality.py` is made of: worlds, scans kept between calls, baselines, scores, and one file a section of the pages."""
