"""The package behind the course: one subject a module, readable enough to be quoted in the chapters.

Importing it does nothing else: no configuration, no download, no torch.
"""
