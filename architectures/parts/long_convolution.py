"""Long causal convolutions: filters as long as the sequence, ``y_t = sum_{s <= t} h_s x_{t-s}`` in every channel.

``direct`` computes this sum as a product with a Toeplitz matrix, quadratic in the length. ``fft`` multiplies spectra;
both sequences are padded with zeros, so that the circular convolution does not wrap around (Poli et al. 2023, section
2.1).
"""

import torch
from torch import Tensor


def direct(x: Tensor, filters: Tensor) -> Tensor:
    """Convolve sequences ``[B, L, D]`` with filters ``[L, D]``."""
    position = torch.arange(x.shape[1], device=x.device)
    delay = position[:, None] - position
    matrix = filters.T[:, delay.clamp(min=0)] * (delay >= 0)  # [D, L, L]
    return (matrix @ x.permute(2, 1, 0)).permute(2, 1, 0)


def fft(x: Tensor, filters: Tensor) -> Tensor:
    """Return what :func:`direct` returns, in time ``L log L``."""
    length = x.shape[1]
    size = 2 * length
    spectrum = torch.fft.rfft(x.mT.contiguous(), n=size) * torch.fft.rfft(filters.T.contiguous(), n=size)
    return torch.fft.irfft(spectrum, n=size)[..., :length].mT
