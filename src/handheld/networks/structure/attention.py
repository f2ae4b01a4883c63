"""``nn.MultiheadAttention`` from layers: what it multiplies with becomes parts of the graph, which
may lose channels.
"""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from handheld.networks.structure.names import Packed

_PARTS = ("q_proj", "k_proj", "v_proj")


def open_attention(module: nn.Module) -> Packed:
    """Let the attention of a module, changed in place, compute by layers of its own.

    Attention with keys of its own beside those of its input, and what somebody derived from it,
    stays as it is.

    Returns:
        Of each parameter that is divided among the layers, those that it consists of, by their
        names.
    """
    packed: dict[str, tuple[str, ...]] = {}
    for name, layer in module.named_modules():
        if type(layer) is nn.MultiheadAttention and _is_plain(layer):
            prefix = f"{name}." if name else ""
            for whole, parts in _open(layer):
                packed[prefix + whole] = tuple(prefix + part for part in parts)
    return packed


def _is_plain(layer: nn.MultiheadAttention) -> bool:
    has_hooks = bool(layer._forward_hooks or layer._forward_pre_hooks) or is_parametrized(layer)
    return layer.bias_k is None and not layer.add_zero_attn and not has_hooks


def _open(layer: nn.MultiheadAttention) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Replace the weights of a layer by layers, and yield what consists of what."""
    if layer.in_proj_weight is None:
        weights = [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight]
        yield from ((f"{part}_weight", (f"{part}.weight",)) for part in _PARTS)
    else:
        weights = list(layer.in_proj_weight.chunk(3))
        yield "in_proj_weight", tuple(f"{part}.weight" for part in _PARTS)
    biases = [None] * 3 if layer.in_proj_bias is None else list(layer.in_proj_bias.chunk(3))
    if layer.in_proj_bias is not None:
        yield "in_proj_bias", tuple(f"{part}.bias" for part in _PARTS)
    for name in ("in_proj_weight", "in_proj_bias", *(f"{part}_weight" for part in _PARTS)):
        layer.register_parameter(name, None)
    for part, weight, bias in zip(_PARTS, weights, biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
        linear.weight = nn.Parameter(weight.detach().clone(), weight.requires_grad)
        if bias is not None:
            linear.bias = nn.Parameter(bias.detach().clone(), bias.requires_grad)
        layer.add_module(part, linear)
    layer.__class__ = _Attention


class _Attention(nn.MultiheadAttention):
    """Attention of layers, with the arguments of torch's; only in evaluation, so nothing is
    dropped.
    """

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        key_padding_mask: torch.Tensor | None = None,
        need_weights: bool = True,
        attn_mask: torch.Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,  # says of the mask what it shows itself
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return (batch, tokens, channels), or tokens first, and the weights if they are asked for."""
        inputs = (
            (query, key, value)
            if self.batch_first
            else (one.transpose(0, 1) for one in (query, key, value))
        )
        layers = (self.get_submodule(part) for part in _PARTS)
        queries, keys, values = (
            self._by_head(layer(one)) for layer, one in zip(layers, inputs, strict=True)
        )
        mask = _joined(self._additive(attn_mask, queries), _padding(key_padding_mask, queries))
        answers = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        found = self.out_proj(answers.transpose(1, 2).flatten(2))
        found = found if self.batch_first else found.transpose(0, 1)
        if not need_weights:
            return found, None
        products = queries * self.head_dim**-0.5 @ keys.transpose(-2, -1)
        weights = torch.softmax(products if mask is None else products + mask, dim=-1)
        return found, weights.mean(dim=1) if average_attn_weights else weights

    def _by_head(self, tokens: torch.Tensor) -> torch.Tensor:
        divided: torch.Tensor = tokens.unflatten(2, (self.num_heads, -1))  # type: ignore[no-untyped-call]
        return divided.transpose(1, 2)

    def _additive(self, mask: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor | None:
        """Return a mask to be added: (tokens, tokens), or of each batch and head."""
        if mask is None:
            return None
        added = _as_numbers(mask, like)
        return added.reshape(-1, self.num_heads, *added.shape[1:]) if added.dim() == 3 else added


def _as_numbers(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return a mask in numbers; of flags those that are set are not looked at."""
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill(
        mask, -torch.inf
    )


def _padding(mask: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor | None:
    return None if mask is None else _as_numbers(mask, like)[:, None, None, :]


def _joined(one: torch.Tensor | None, other: torch.Tensor | None) -> torch.Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
