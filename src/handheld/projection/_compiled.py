"""The n-grams of ``ngrams`` and the sums of ``pooled``, compiled: the same numbers as in numpy.

Imports numba, and is imported only where that is installed and pays.
"""

from typing import Any

import numpy as np
from numba import njit

from handheld._kernels import kernel
from handheld.projection.folding import ALONE, BLANK, CLASS_SHIFT, DROPPED, MARK, WORD
from handheld.projection.hashing import GOLDEN
from handheld.projection.ngrams import BASE, WORD_SALT

_BLANK = np.uint32(BLANK)
_SHIFT = np.uint32(CLASS_SHIFT)
_DROPPED = np.uint32(DROPPED)
_WORD = np.uint32(WORD)
_ALONE = np.uint32(ALONE)
_MARK = np.uint32(MARK)
_BASE = BASE
_GOLDEN = GOLDEN
# Of Python's numbers, as in ngrams: a product of numpy's scalars would warn that it overflows.
_SALT = np.uint64(int(WORD_SALT) * int(GOLDEN) % (1 << 64))


@kernel()
def pooled(
    points: Any,
    begins: Any,
    codes: Any,
    letters: Any,
    words: int,
    shift: Any,
    row_of: Any,
    length: int,
    table: Any,
) -> Any:
    """Return (texts, width) sums of each text's rows, and (texts,) how many rows these are.

    Args:
        points: characters of all texts, one behind each text that is not read.
        begins: (texts + 1,) where each text begins.
        codes: of all characters, as ``folding.code_table`` gives them.
        letters: lengths of n-grams of letters, rising.
        words: words in the longest n-gram of words.
        shift: of a hash, to give a bucket.
        row_of: (buckets,) the row of each, or -1.
        length: rows of a text that count; of more, so many at even distances.
        table: (rows + 1, width) int8.
    """
    texts = len(begins) - 1
    width = table.shape[1]
    sums = np.zeros((texts, width), np.float32)
    counts = np.zeros(texts, np.intp)
    longest = 0
    for text in range(texts):
        longest = max(longest, begins[text + 1] - begins[text])
    # Once for all texts: two blanks and a longest text, and as many n-grams as can start in it.
    piece = np.empty(longest + 2, np.uint32)
    starts = np.empty(longest + 3, np.uint64)
    is_start = np.zeros(longest + 3, np.bool_)
    rows = np.empty((longest + 2) * (len(letters) + words), np.int32)
    total = np.empty(width, np.int32)
    for text in range(texts):
        size = _collapse(points, begins[text], begins[text + 1] - 1, codes, piece)
        if words:
            _hash_words(piece, size, starts, is_start)
        count = _find_rows(piece, size, letters, words, shift, row_of, starts, is_start, rows)
        kept = min(count, length)
        # Whole numbers, whose sum is the same in any order: as numpy adds them.
        total[:] = 0
        for number in range(kept):
            row = rows[number * count // kept]
            for column in range(width):
                total[column] += table[row, column]
        for column in range(width):
            sums[text, column] = total[column]
        counts[text] = kept
    return sums, counts


# As hashing.mix, of one number: written once more, since numba compiles no arrays of one.
@njit(nogil=True, inline="always")
def _mix(value: Any) -> Any:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel()
def _collapse(points: Any, begin: int, end: int, codes: Any, piece: Any) -> int:
    """Write a text's codes between blanks, one blank between pieces; return how many they are.

    A text without any gives the first blank alone.
    """
    piece[0] = _BLANK
    size = 1
    for at in range(begin, end):
        code = codes[points[at]]
        if (code >> _SHIFT) == _DROPPED or (code == _BLANK and piece[size - 1] == _BLANK):
            continue
        piece[size] = code
        size += 1
    if piece[size - 1] != _BLANK:
        piece[size] = _BLANK
        size += 1
    return size


@kernel()
def _hash_words(piece: Any, size: int, starts: Any, is_start: Any) -> None:
    """Write the hash of each word where its first letter is."""
    is_start[:size] = False
    at = 0
    while at < size:
        code_class = piece[at] >> _SHIFT
        if code_class == _ALONE or code_class == _MARK:  # noqa: SIM109 - a tuple of these is slow when compiled
            end = at + 1
        elif code_class == _WORD:
            end = at + 1
            while end < size and (piece[end] >> _SHIFT) == _WORD:
                end += 1
        else:
            at += 1
            continue
        value = np.uint64(0)
        power = np.uint64(1)
        for letter in range(at, end):
            value += np.uint64(piece[letter]) * power
            power *= _BASE
        # The polynomial begins at power 0 wherever the word stands, as numpy gets by its inverse.
        starts[at] = _mix(value + _SALT)
        is_start[at] = True
        at = end


@kernel()
def _find_rows(
    piece: Any,
    size: int,
    letters: Any,
    words: int,
    shift: Any,
    row_of: Any,
    starts: Any,
    is_start: Any,
    rows: Any,
) -> int:
    """Write the rows of all n-grams, in the order of their first letters; return how many."""
    count = 0
    longest = letters[-1] if len(letters) else 0
    for at in range(size - 1):
        value = np.uint64(piece[at])
        number = 0  # of the next length that is counted
        for length in range(2, longest + 1):
            last = at + length - 1
            # A blank may be an n-gram's edge and nothing else.
            if last >= size or (length > 2 and piece[last - 1] == _BLANK):
                break
            value = value * _BASE + np.uint64(piece[last])
            if letters[number] == length:
                row = row_of[_mix(value + np.uint64(length) * _GOLDEN) >> shift]
                if row >= 0:
                    rows[count] = row
                    count += 1
                number += 1
        if words and is_start[at]:
            count = _find_word_rows(at, size, words, shift, row_of, starts, is_start, rows, count)
    return count


@kernel()
def _find_word_rows(
    at: int,
    size: int,
    words: int,
    shift: Any,
    row_of: Any,
    starts: Any,
    is_start: Any,
    rows: Any,
    count: int,
) -> int:
    value = starts[at]
    following = at
    for number in range(words):
        if number:
            following += 1
            while following < size and not is_start[following]:
                following += 1
            if following >= size:
                break
            value = _mix(value * _GOLDEN + starts[following])
        row = row_of[value >> shift]
        if row >= 0:
            rows[count] = row
            count += 1
    return count
