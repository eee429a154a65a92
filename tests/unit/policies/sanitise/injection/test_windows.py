import numpy as np
import pytest

from policies.sanitise.injection.windows import SCALES, SIZES, stretches, strongest


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 23, 24, 25, 63, 64, 65, 100, 255, 256, 257, 1000])
@pytest.mark.parametrize("sizes", [1, len(SIZES)])
def test_what_serving_finds_is_the_largest_of_the_stretches_that_training_sees(count: int, sizes: int) -> None:
    random = np.random.default_rng(count)
    values = random.normal(size=count).astype(np.float32)
    opens = np.unique(np.append(0, random.integers(0, count, count // 7)))
    levels = [0.3, -0.2, 0.1, 0.0]
    sums = np.concatenate(([0.0], np.cumsum(values))).astype(np.float32)
    firsts, lasts, kinds = stretches(count, opens, sizes)
    margins = (sums[lasts] - sums[firsts]) * SCALES[np.minimum(kinds, 1), lasts - firsts] + np.array(levels)[kinds]

    best, first, last, number = strongest(sums, opens, levels, sizes)

    assert best == pytest.approx(margins.max(), abs=1e-5)
    assert (first, last) in set(zip(firsts.tolist(), lasts.tolist(), strict=True))
    assert number == len(firsts)


def test_every_word_is_in_some_stretch_of_each_size() -> None:
    firsts, lasts, kinds = stretches(300, np.array([0, 100]), len(SIZES))

    for kind in range(len(SIZES)):
        covered = {word for at in (kinds == kind).nonzero()[0] for word in range(firsts[at], lasts[at])}
        assert covered == set(range(300))


def test_a_short_text_has_no_larger_stretches() -> None:
    _, _, kinds = stretches(10, np.array([0]), len(SIZES))

    assert kinds.tolist() == [0, 1]
