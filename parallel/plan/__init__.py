"""Memory, communication, time and cost of a run before it starts (Sec. 3.1.6, A.2).

Pure arithmetic on a few facts of a stage; only `stage.py` imports torch, to build on the meta device what a
config names. docs/decisions/0012 says why this package knows no other of ours.
"""
