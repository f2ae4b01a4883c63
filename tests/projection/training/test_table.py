import pytest
import torch

from handheld.compile import to_tflite
from handheld.engine import Model
from handheld.projection.training.table import ExportedTable, RowTable


def test_rows_are_added_whatever_their_order():
    network = RowTable(10, 4, 3).eval()
    numbers = torch.tensor([1, 2, 2, 9, 2, 1, 9, 2])
    first, second, none = network(numbers, torch.tensor([0, 4, 8, 8]))
    assert torch.allclose(first, second, atol=1e-6)
    assert torch.isfinite(none).all()


@pytest.mark.parametrize("hidden", [0, 12])
def test_the_file_computes_what_was_trained(hidden: int):
    torch.manual_seed(0)
    network = RowTable(300, 16, 5, hidden=hidden).eval()
    network.on_grid = True
    numbers = torch.randint(0, 300, (20,))
    rows = torch.cat([numbers, torch.full((12,), 300)]).int()[None]
    file = to_tflite(ExportedTable(network), rows, metadata={}, precision="int4_tables")
    assert file.size < 300 * 16 // 2 + 16 * 5 + 16 * hidden + 9_000
    with Model.load(file.content) as model:
        found = torch.from_numpy(model.run(rows.numpy())[0])
    expected = network(numbers, torch.tensor([0, 20])).detach()
    assert float((found - expected).square().mean().sqrt() / expected.std()) < 0.02


def test_features_are_left_out_only_while_learning():
    network, numbers, offsets = (
        RowTable(50, 4, 2, dropout=0.5),
        torch.arange(50),
        torch.tensor([0, 50]),
    )
    assert not torch.equal(network(numbers, offsets), network(numbers, offsets))
    network.eval()
    assert torch.equal(network(numbers, offsets), network(numbers, offsets))
