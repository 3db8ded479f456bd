import { createPatience } from '../../../src/runtime/webgpu/patience.ts';

/** A clock that sleeping moves on, and what was slept. */
function clock() {
  let time = 1000;
  const slept: number[] = [];
  return {
    slept,
    pass: (ms: number) => void (time += ms),
    now: () => time,
    sleep: async (ms: number) => {
      slept.push(ms);
      time += ms;
    },
  };
}

it('rests most of the time that work of its size took, and never for what compiled or was disturbed', async () => {
  const c = clock();
  const patience = createPatience(c);
  const run = async (size: number, ms: number): Promise<void> => {
    const started = c.now();
    const ticket = patience.submitted(size);
    await ticket.rest();
    c.pass(Math.max(0, started + ms - c.now()));
    ticket.finished();
  };
  await run(10, 20_000);
  await run(10, 100);
  expect(c.slept).toEqual([]);
  await run(10, 100);
  await run(5, 50);
  await run(10, 900);
  await run(10, 100);
  expect(c.slept.map(Math.round)).toEqual([80, 40, 80, 88]);
  // too short for a timer
  await run(0.2, 2);
  expect(c.slept).toHaveLength(4);
});

it('rests until what was submitted before is done too', async () => {
  const c = clock();
  const patience = createPatience(c);
  for (let i = 0; i < 2; i++) {
    const ticket = patience.submitted(1);
    c.pass(100);
    ticket.finished();
  }
  const [first, second] = [patience.submitted(1), patience.submitted(1)];
  await first.rest();
  c.pass(20);
  first.finished();
  await second.rest();
  expect(c.slept.map(Math.round)).toEqual([80, 80]);
});

it('finds back to spinning when it overslept', async () => {
  const c = clock();
  const patience = createPatience(c);
  for (let i = 0; i < 40; i++) {
    const ticket = patience.submitted(1);
    const started = c.now();
    await ticket.rest();
    c.pass(Math.max(0, started + (i < 20 ? 100 : 40) - c.now()));
    ticket.finished();
  }
  // no longer than it takes, a few steps after it became faster
  expect(c.slept.slice(26).every((ms) => ms > 30 && ms <= 40)).toBe(true);
});

it('naps while a promise is pending, the longer the more time has passed, and not once it is settled', async () => {
  const c = clock();
  const naps: number[] = [];
  let settle: () => void = () => undefined;
  const nap = (ms: number): void => {
    naps.push(ms);
    c.pass(50);
    if (naps.length === 5) settle();
  };
  const ticket = createPatience({ ...c, nap }).submitted(1);
  await ticket.pending(Promise.resolve());
  expect(naps).toEqual([]);
  c.pass(50);
  await ticket.pending(
    new Promise<void>((resolve) => {
      settle = resolve;
    }),
  );
  expect(naps.map((ms) => ms.toFixed(1))).toEqual(['0.5', '1.0', '1.5', '2.0', '2.0']);
  await new Promise((resolve) => setImmediate(resolve));
  expect(naps).toHaveLength(5);
});
