/** @file The loop over an engine that answers as told: what is no number ends the run, what a step's line says. */

import type { Engine } from '../../src/runtime/execute.ts';
import { collate } from '../../src/train/batches.ts';
import { parseConfig } from '../../src/train/config.ts';
import { newState, type StepMetrics, type TrainConfig, train } from '../../src/train/loop.ts';

/** An engine of no units, whose steps read as given; `waited` is told of every read. */
function answering(answer: (step: number) => { loss: number; gradNorm: number }, waited = (): void => {}): Engine {
  let steps = 0;
  return {
    program: { calls: [], dims: [], values: [], params: [], results: [] },
    storage: { groups: [] },
    readUpdates: async () => [],
    writeUpdates: () => {},
    // run again function by function, all of it is finite
    findNonFinite: async () => null,
    step: () => {
      const { loss, gradNorm } = answer(steps++);
      const read = async () => {
        waited();
        return { losses: [loss], gradNorm };
      };
      return { variants: [{ savedBytes: 1, stackBytes: 1, slotBytes: 1 }], updated: [], dispatches: 0, forwardFlops: 1, backwardFlops: 1, read };
    },
  } as unknown as Engine;
}

const batch = collate(
  [5, 2].map((n) => ({ tokens: new Int32Array(n).fill(1), labels: new Int32Array(n).fill(1) })),
  8,
  0,
);
async function run(engine: Engine, steps: number, ahead?: number): Promise<StepMetrics[]> {
  const config: TrainConfig = { ...parseConfig({ model: 'm', data: 'd' }, 'x'), steps };
  const seen: StepMetrics[] = [];
  await train({
    engine,
    config,
    batches: { at: () => batch },
    state: newState(engine),
    onStep: (m) => void seen.push(m),
    ...(ahead === undefined ? {} : { ahead }),
  });
  return seen;
}

it.each([
  [Number.NaN, 1],
  [Number.POSITIVE_INFINITY, 1],
  [Number.NEGATIVE_INFINITY, 1],
  [1, Number.NaN],
  [1, Number.POSITIVE_INFINITY],
])('a loss of %p with a gradient norm of %p ends the run at its step', async (loss, gradNorm) => {
  const engine = answering((step) => (step === 1 ? { loss, gradNorm } : { loss: 1, gradNorm: 1 }));
  await expect(run(engine, 3)).rejects.toThrow(`step 2: the loss is ${loss} and the gradient norm ${gradNorm}; lower the learning rate`);
  // nothing was learnt before the first one
  const first = run(
    answering(() => ({ loss, gradNorm })),
    3,
  );
  await expect(first).rejects.toThrow(
    `step 1: the loss is ${loss} and the gradient norm ${gradNorm}; this is the first step of the run, so the learning rate has no part`,
  );
  await expect(first).rejects.not.toThrow('lower the learning rate');
});

it('counts tokens without padding, and the time between readbacks', async () => {
  let clock = 1000;
  const now = jest.spyOn(performance, 'now').mockImplementation(() => clock);
  try {
    const waits = [50, 30, 20, 40];
    const lines = await run(
      answering(
        () => ({ loss: 1, gradNorm: 1 }),
        () => void (clock += waits.shift()!),
      ),
      4,
    );
    expect(lines.map((l) => l.tokens)).toEqual([7, 7, 7, 7]);
    expect(lines.map((l) => l.ms)).toEqual([50, 30, 20, 40]);
  } finally {
    now.mockRestore();
  }
});

it.each([
  [0, 's0 r0 s1 r1 s2 r2 s3 r3'],
  [undefined, 's0 s1 s2 r0 s3 r1 r2 r3'],
])('with %p steps ahead, submits and reads in the order %p, and tells of steps in order', async (ahead, order) => {
  const events: string[] = [];
  const inner = answering((step) => ({ loss: step, gradNorm: 1 }));
  let submitted = 0;
  const engine: Engine = {
    ...inner,
    step(...given) {
      const step = submitted++;
      events.push(`s${step}`);
      const result = inner.step(...given);
      const read = (): ReturnType<typeof result.read> => {
        events.push(`r${step}`);
        return result.read();
      };
      return { ...result, read };
    },
  };
  const lines = await run(engine, 4, ahead);
  expect(events.join(' ')).toBe(order);
  expect(lines.map((l) => [l.step, l.loss])).toEqual([0, 1, 2, 3].map((n) => [n + 1, n]));
});
