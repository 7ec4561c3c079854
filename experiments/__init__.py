"""Long runs, whose results the chapters show beside what the reader runs live."""
