/** @file The order of rows in GGUF tensors of q and k. */

/**
 * Rows of a projection in Hugging Face's order: row (head, half, pair) comes from row (head, pair, half). Rows are whole blocks, so any type works.
 * @param bytes `rows` rows of `heads` heads as GGUF keeps them: the two rows that rotary embedding turns together side by side
 */
export function unpermuteRows(bytes: Uint8Array, rows: number, heads: number): Uint8Array {
  const rowBytes = bytes.length / rows;
  const width = rows / heads;
  const result = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    const [head, within] = [Math.floor(row / width), row % width];
    const [half, pair] = [Math.floor(within / (width / 2)), within % (width / 2)];
    const from = (head * width + 2 * pair + half) * rowBytes;
    result.set(bytes.subarray(from, from + rowBytes), row * rowBytes);
  }
  return result;
}
