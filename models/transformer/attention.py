"""Full bidirectional self-attention and cross-attention to the text (Sec. 3.1.3)."""

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class HeadNorm(nn.Module):
    """RMS norm of each query and key head: keeps attention logits bounded at high learning rates."""

    def __init__(self, head_width: int, eps: float) -> None:
        super().__init__()
        self.query, self.key = nn.RMSNorm(head_width, eps), nn.RMSNorm(head_width, eps)

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        return self.query(query), self.key(key)


class Attend(nn.Module):
    """Softmax attention itself: no weights, but a module, where hooks can join a sequence that is split."""

    def forward(
        self, query: Float[Tensor, "b heads n d"], key: Float[Tensor, "b heads m d"], value: Tensor
    ) -> Float[Tensor, "b heads n d"]:
        return scaled_dot_product_attention(query, key, value)


class SelfAttention(nn.Module):
    """Every video token attends to every other: no mask, no window."""

    def __init__(self, width: int, heads: int, norm: HeadNorm | None, *, bias: bool = False) -> None:
        super().__init__()
        self.head_width = width // heads
        self.q, self.k, self.v = (nn.Linear(width, width, bias) for _ in range(3))
        self.norm = norm
        self.attend = Attend()
        self.out = nn.Linear(width, width, bias)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        query, key, value = (split_heads(each(x), self.head_width) for each in (self.q, self.k, self.v))
        if self.norm is not None:
            query, key = self.norm(query, key)
        attended = self.attend(query, key, value)
        return self.out(rearrange(attended, "b heads n d -> b n (heads d)"))


class CrossAttention(nn.Module):
    """Video tokens ask, text tokens answer; padding is never heard."""

    def __init__(self, width: int, heads: int, norm: HeadNorm | None, *, bias: bool = False) -> None:
        super().__init__()
        self.head_width = width // heads
        self.q, self.k, self.v = (nn.Linear(width, width, bias) for _ in range(3))
        self.norm = norm
        self.out = nn.Linear(width, width, bias)

    def forward(
        self, x: Float[Tensor, "b n d"], text: Float[Tensor, "b l d"], mask: Bool[Tensor, "b l"]
    ) -> Float[Tensor, "b n d"]:
        query = split_heads(self.q(x), self.head_width)
        key, value = (split_heads(each(text), self.head_width) for each in (self.k, self.v))
        if self.norm is not None:
            query, key = self.norm(query, key)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        return self.out(rearrange(attended, "b heads n d -> b n (heads d)"))


def split_heads(x: Float[Tensor, "b n d"], head_width: int) -> Float[Tensor, "b heads n head"]:
    """As many heads as `x` has channels for: a process may hold some of them."""
    return rearrange(x, "b n (heads d) -> b heads n d", d=head_width)
