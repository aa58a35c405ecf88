"""Flow matching by the paper's equations, as pure functions of tensors (Sec. 3.1.2, 3.4.2)."""
