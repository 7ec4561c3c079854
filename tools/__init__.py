"""The small programs that build the course from its sources. Run them as `python -m tools.NAME`."""
