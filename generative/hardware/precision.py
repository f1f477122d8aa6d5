"""Which number types a device multiplies natively."""

import torch


def native_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Return whether a device has instructions that multiply bfloat16; elsewhere it is emulated, and slower."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.device(device).type != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
