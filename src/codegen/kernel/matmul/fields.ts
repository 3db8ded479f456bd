/** @file Fields that several kinds of matmul schedules have. */

/** Elements of every result that a lane (of a matmul by matrices: a subgroup) computes. */
export const TILE = {
  rows: { holds: 'count', text: '# rows' },
  cols: { holds: 'count', text: '# columns' },
} as const;

/** How a lane that loads for itself adds up and stores. */
export const ADDING = {
  /** Products of that many k are added to each other before they go to the sum (a power of two): where sums are spilled, that is what costs. */
  fold: { holds: 'count', text: 'fold #', usual: 1 },
  /** Whether products of different B are walked one after the other: where sums are spilled, what they share of A saves nothing. */
  inTurn: { holds: 'flag', text: 'in turn' },
  /** Whether rows are stored in a loop, out of an array: less code, for compilers that take long for it. */
  storeLoop: { holds: 'flag', text: 'stored in a loop' },
  /** Whether products are added by `fma`, one after the other: where the driver makes one instruction of it, and two of a product and a sum. */
  fma: { holds: 'flag', text: 'by fma' },
} as const;

/** How tiles reach workgroup memory. */
export const FILLING = {
  /** Whether the next tile is loaded into registers while a tile is multiplied, so that its loads are not waited for. */
  ahead: { holds: 'flag', text: 'loads a tile ahead' },
  /** Whether workgroup memory holds two tiles of each operand: one is filled while others still multiply the other, with one barrier a tile. */
  twoBuffers: { holds: 'flag', text: 'two buffers' },
} as const;

export const SHARES = {
  /** Workgroups that share the k axis of a tile: their partial sums go to scratch, and a second kernel adds them in order (./partial.ts). */
  kGroups: { holds: 'count', text: '# workgroups along k', usual: 1 },
} as const;
