import { add, crossEntropy, defineModel, embedding, gelu, matmul, mul, param, type Tensor, unit } from 'ebb';

const shared = (y: Tensor, tied: boolean): Tensor => gelu(matmul(y, param('shared', [6, 6], { tied })));

/** One table looked up as it is, looked up scaled, and used as the head; one matrix in two units and the trunk; two biases that are one sum. */
export const model = defineModel({
  inputs: { tokens: { dtype: 'i32', shape: ['B', 'T'] }, targets: { dtype: 'i32', shape: ['B', 'T'] } },
  dims: { B: 2, T: 4 },
  build: ({ tokens, targets }) => {
    const table = param('table', [10, 6]);
    let x = add(embedding(table, tokens), mul(embedding(mul(table, param('scale', [6])), tokens), 0.5));
    x = unit('layers.0', x, (y) => shared(y, false));
    x = add(add(x, param('bias.0', [6])), param('bias.1', [6]));
    x = unit('layers.1', x, (y) => shared(y, true));
    x = add(x, mul(shared(x, true), 0.1));
    return crossEntropy(matmul(x, table, true), targets);
  },
});
