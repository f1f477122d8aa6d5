"""Hidden tokens to be guessed, as BERT learns (Devlin et al. 2018, arXiv 1810.04805, section 3.1).

Of every text the same share of tokens is chosen. Of the chosen, four in five are replaced by a token that says so, one
in ten by any token, and one in ten is left as it is; so a model cannot rely on what it reads to be right.
"""

import torch
from jaxtyping import Int
from torch import Tensor

SHARE = 0.15
"""Of the tokens that are chosen."""
MASKED, RANDOM = 0.8, 0.1
"""Of the chosen: replaced by the mask, and by any token."""


def hidden_tokens(
    tokens: Int[Tensor, "B T"], vocabulary: int, mask: int, generator: torch.Generator
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B C"]]:
    """Return texts as a model reads them, and the places of the tokens that it is asked for.

    Args:
        tokens: the texts.
        vocabulary: how many tokens there are to replace one by.
        mask: the token that says that one is hidden.
        generator: for the choice.
    """
    rows, length = tokens.shape

    def uniform(columns: int) -> Tensor:
        return torch.rand(rows, columns, generator=generator, device=generator.device).to(tokens.device)

    count = max(1, round(SHARE * length))
    places = uniform(length).topk(count, 1).indices
    true, how = tokens.gather(1, places), uniform(count)
    other = torch.randint(vocabulary, (rows, count), generator=generator, device=generator.device).to(tokens.device)
    changed = torch.where(how < MASKED, mask, torch.where(how < MASKED + RANDOM, other, true))
    return tokens.scatter(1, places, changed), places
