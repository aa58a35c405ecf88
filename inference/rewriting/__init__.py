"""Prompts put as the model was trained on, by a language model, checked and never silent (Sec. 3.4.1)."""

from inference.rewriting.rewrite import Rewriter, RewriterError, Rewrites, Rewritten

__all__ = ["Rewriter", "RewriterError", "Rewrites", "Rewritten"]
