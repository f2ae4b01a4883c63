"""``nn.MultiheadAttention`` from layers: what it multiplies with becomes parts of the graph, which
may lose channels.
"""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from handheld.networks.structure.names import PackedNames

_PROJECTIONS = ("q_proj", "k_proj", "v_proj")


def open_attention(module: nn.Module) -> PackedNames:
    """Let the attention of a module, changed in place, compute by layers of its own.

    Attention with keys of its own beside those of its input, and what somebody derived from it,
    stays as it is.

    Returns:
        Of each parameter that is divided among the layers, those that it consists of, by their
        names.
    """
    packed: dict[str, tuple[str, ...]] = {}
    for name, layer in module.named_modules():
        # A subclass may compute something else; its exact type says that it does not.
        if type(layer) is nn.MultiheadAttention and _is_plain(layer):
            prefix = f"{name}." if name else ""
            for parameter, pieces in _open(layer):
                packed[prefix + parameter] = tuple(prefix + piece for piece in pieces)
    return packed


def _is_plain(layer: nn.MultiheadAttention) -> bool:
    if layer._forward_hooks or layer._forward_pre_hooks or is_parametrized(layer):
        return False
    return layer.bias_k is None and not layer.add_zero_attn


def _open(layer: nn.MultiheadAttention) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Replace the weights of a layer by layers, and yield what consists of what."""
    # Before anything is taken away: the names say what there is.
    yield from _divided_names(layer)
    weights = _weights(layer)
    biases = _biases(layer)
    for name in ("in_proj_weight", "in_proj_bias"):
        layer.register_parameter(name, None)
    for projection, weight, bias in zip(_PROJECTIONS, weights, biases, strict=True):
        layer.register_parameter(f"{projection}_weight", None)
        layer.add_module(projection, _linear(weight, bias))
    layer.__class__ = _Attention


def _divided_names(layer: nn.MultiheadAttention) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each parameter of a layer with those that it will be divided into."""
    # A parameter of one weight each exists where keys or values are of another width than queries.
    if layer.in_proj_weight is None:
        for projection in _PROJECTIONS:
            yield f"{projection}_weight", (f"{projection}.weight",)
    else:
        yield "in_proj_weight", tuple(f"{projection}.weight" for projection in _PROJECTIONS)
    if layer.in_proj_bias is not None:
        yield "in_proj_bias", tuple(f"{projection}.bias" for projection in _PROJECTIONS)


def _weights(layer: nn.MultiheadAttention) -> list[torch.Tensor]:
    """Return the weights of queries, keys and values."""
    if layer.in_proj_weight is None:
        return [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight]
    return list(layer.in_proj_weight.chunk(3))


def _biases(layer: nn.MultiheadAttention) -> list[torch.Tensor | None]:
    """Return the biases of queries, keys and values."""
    if layer.in_proj_bias is None:
        return [None] * 3
    return list(layer.in_proj_bias.chunk(3))


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    """Return a layer with a copy of these weights."""
    outputs, inputs = weight.shape
    # On no device: it would draw random weights, and move whoever else draws some.
    linear = nn.Linear(inputs, outputs, bias=bias is not None, device="meta")
    linear.weight = nn.Parameter(weight.detach().clone(), weight.requires_grad)
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone(), bias.requires_grad)
    return linear


class _Attention(nn.MultiheadAttention):
    """Attention of layers, with the arguments of torch's; only in evaluation, so nothing is
    dropped.
    """

    def forward(  # noqa: PLR0913  # the arguments of torch's own layer
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
        """Return (batch, tokens, channels), or tokens first, and the weights if asked for."""
        queries = self._projected("q_proj", query)
        keys = self._projected("k_proj", key)
        values = self._projected("v_proj", value)
        mask = _joined(self._additive(attn_mask, queries), _padding(key_padding_mask, queries))
        answers = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        joined_heads = answers.transpose(1, 2).flatten(2)
        attended = self._tokens_where_asked(self.out_proj(joined_heads))
        if not need_weights:
            return attended, None
        # The operator above does not return them.
        weights = self._attention_weights(queries, keys, mask)
        if average_attn_weights:
            weights = weights.mean(dim=1)
        return attended, weights

    def _attention_weights(
        self, queries: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Return (batch, heads, tokens, other tokens)."""
        products = queries * self.head_dim**-0.5 @ keys.transpose(-2, -1)
        if mask is not None:
            products = products + mask
        return torch.softmax(products, dim=-1)

    def _tokens_where_asked(self, tensor: torch.Tensor) -> torch.Tensor:
        """Change between (batch, tokens, channels) and what the layer takes and returns."""
        if self.batch_first:
            return tensor
        return tensor.transpose(0, 1)

    def _projected(self, projection: str, inputs: torch.Tensor) -> torch.Tensor:
        """Return (batch, heads, tokens, channels of a head)."""
        layer = self.get_submodule(projection)
        tokens: torch.Tensor = layer(self._tokens_where_asked(inputs))
        # torch leaves unflatten without types.
        heads: torch.Tensor = tokens.unflatten(2, (self.num_heads, -1))  # type: ignore[no-untyped-call]
        return heads.transpose(1, 2)

    def _additive(self, mask: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor | None:
        """Return a mask to be added: (tokens, tokens), or of each batch and head."""
        if mask is None:
            return None
        added = _as_numbers(mask, like)
        if added.dim() == 3:
            # torch lays the heads of all examples one after the other.
            return added.reshape(-1, self.num_heads, *added.shape[1:])
        return added


def _as_numbers(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return a mask in numbers; of flags those that are set are not looked at."""
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    zeros = torch.zeros(mask.shape, dtype=like.dtype, device=like.device)
    return zeros.masked_fill(mask, -torch.inf)


def _padding(mask: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor | None:
    if mask is None:
        return None
    return _as_numbers(mask, like)[:, None, None, :]


def _joined(one: torch.Tensor | None, other: torch.Tensor | None) -> torch.Tensor | None:
    if one is None:
        return other
    if other is None:
        return one
    return one + other
