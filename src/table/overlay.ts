/**
 * Two tables laid over each other, to compare them. Tables of different sizes share no slots, so they are laid along the hash:
 * a segment is a range of hashes with one slot in each. With equal sizes a segment is a slot.
 */
/**
 * Lays a table of m slots and one of n over each other. Lengths are integers, in units of 1/m of the hash when m = n
 * and of 1/(m n) otherwise (below 2^40, so their sums are exact).
 */
export function forEachSegment(
  m: number,
  n: number,
  visit: (slotOfM: number, slotOfN: number, length: number) => void,
): void {
  const [widthOfM, widthOfN] = m === n ? [1, 1] : [n, m];
  for (let i = 0, j = 0, at = 0; i < m && j < n; ) {
    const end = Math.min((i + 1) * widthOfM, (j + 1) * widthOfN);
    visit(i, j, end - at);
    at = end;
    if (at === (i + 1) * widthOfM) i++;
    if (at === (j + 1) * widthOfN) j++;
  }
}
