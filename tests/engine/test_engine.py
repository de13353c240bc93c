"""The embedded engine keeps order and passes errors on."""

import pytest

from excise.engine.embedded import map_ordered


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_results_come_in_the_order_of_the_items(threads):
    assert list(map_ordered(lambda x: x * x, range(50), threads=threads)) == [x * x for x in range(50)]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_of_a_kernel_is_raised(threads):
    def kernel(x):
        if x == 5:
            raise ValueError("five")
        return x

    with pytest.raises(ValueError, match="five"):
        list(map_ordered(kernel, range(20), threads=threads))
