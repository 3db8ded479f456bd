/** @file Fields that several kinds of matmul schedules have. */

/** Elements of every result that a lane (of a matmul by matrices: a subgroup) computes. */
export const TILE = {
  rows: { holds: 'count', text: '# rows' },
  cols: { holds: 'count', text: '# columns' },
} as const;

/** How a lane that loads for itself adds up and stores. */
export const ADDING = {
  /** A power of two: products of that many k are added to each other before the sum takes them. Where sums are spilled, taking them is what costs. */
  fold: { holds: 'count', text: 'fold #', usual: 1 },
  /** Whether products of different B are walked one after the other. Where sums are spilled, sharing A between them saves nothing. */
  inTurn: { holds: 'flag', text: 'in turn' },
  /** Whether rows are stored in a loop, out of an array, which is less code for compilers that take long. */
  storeLoop: { holds: 'flag', text: 'stored in a loop' },
  /** Whether products are added by `fma`, one after the other. It pays where the driver makes one instruction of it, and two of a product and a sum. */
  fma: { holds: 'flag', text: 'by fma' },
} as const;

/** How tiles reach workgroup memory. */
export const FILLING = {
  /** Whether the next tile is loaded into registers while a tile is multiplied, so that its loads are not waited for. */
  ahead: { holds: 'flag', text: 'loads a tile ahead' },
  /** Whether workgroup memory holds two tiles of each operand. One is filled while others still multiply the other, with one barrier a tile. */
  twoBuffers: { holds: 'flag', text: 'two buffers' },
} as const;

export const SHARES = {
  /** Workgroups that share the k axis of a tile. Their partial sums go to scratch, and a second kernel adds them in order (./partial.ts). */
  kGroups: { holds: 'count', text: '# workgroups along k', usual: 1 },
} as const;
