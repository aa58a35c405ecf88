"""Engines run jobs; they know nothing of stages, tables or files. A job is one unit of work of one or more
stages."""
