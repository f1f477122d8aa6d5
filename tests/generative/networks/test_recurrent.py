import torch

from generative.networks.recurrent import Recurrent


def test_reading_in_pieces_is_reading_at_once():
    torch.manual_seed(0)
    network = Recurrent(3, 5, 2, dropout=0.5).eval()
    sequence = torch.randn(2, 7, 3)
    whole, end = network(sequence, network.first_state(2))
    state, pieces = network.first_state(2), []
    for piece in sequence.split(3, 1):
        features, state = network(piece, state)
        pieces.append(features)
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    torch.testing.assert_close(state, end)


def test_cells_remember_at_first():
    network = Recurrent(1, 4, 2, dropout=0.0)
    for layer in range(2):
        bias = getattr(network.lstm, f"bias_ih_l{layer}") + getattr(network.lstm, f"bias_hh_l{layer}")
        assert bias.tolist() == [0] * 4 + [1] * 4 + [0] * 8


def test_dropout_leaves_out_outputs_and_only_while_training():
    torch.manual_seed(0)
    network, sequence = Recurrent(2, 50, 1, dropout=0.5), torch.randn(1, 4, 2)
    left_out = network(sequence, network.first_state(1))[0] == 0
    assert 0.3 < left_out.float().mean() < 0.7
    assert (network.eval()(sequence, network.first_state(1))[0] != 0).all()
