import { isMatmulSchedule } from '../../src/codegen/kernel/matmul/schedule.ts';
import { type Compiled, compileModel } from '../../src/compile/compile.ts';
import { widenOnceFor } from '../../src/compile/functions.ts';
import { extentOf } from '../../src/compile/slots.ts';
import { parseHfConfig, traceModel, trainingMode } from '../../src/index.ts';
import { groupDispatches } from '../../src/runtime/program.ts';
import { bookChooser, emptyBook } from '../../src/tune/book.ts';
import { collector, tune } from '../../src/tune/tune.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

let test: TestDevice;
beforeAll(async () => {
  test = await openTestDevice();
});
afterAll(() => test.device.destroy());

it('measures the kernels of a model, checked against the standard ones, and a compilation takes what won', async () => {
  const { model } = parseHfConfig(
    'config.json',
    JSON.stringify({
      model_type: 'llama',
      vocab_size: 64,
      hidden_size: 32,
      intermediate_size: 64,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      max_position_embeddings: 64,
    }),
  );
  const dims = { B: 2, T: 32 };
  const traced = traceModel(model.build(trainingMode(32)), { dims });
  const device = { traits: test.traits, maxBuffers: 8, widenOnce: widenOnceFor(test.traits) };
  const book = emptyBook({ adapter: 'test', features: [], dawn: '0', generator: 1 });
  const found = collector(book, ['B', 'T', 'N', 'Q', 'G'], dims);
  const standard = compileModel(traced, { device: { ...device, choose: found.choose } });
  const problems = found.open();
  expect(problems.length).toBeGreaterThan(8);

  const told: number[] = [];
  // products in two kernels too, which are candidates on GPUs alone
  const some = problems.slice(0, 6).map(({ problem, ...rest }) => {
    const { standard, candidates } = problem;
    const shared = isMatmulSchedule(standard.schedule) ? problem.choice({ ...standard.schedule, kGroups: 2 }) : null;
    return { ...rest, problem: { ...problem, candidates: [...(shared ? [shared] : []), ...candidates] } };
  });
  const result = await tune(some, {
    device: test.device,
    book,
    extentOf: (v) => extentOf(v.type),
    budgetMs: 60_000,
    perProblemMs: 2000,
    onProblem: (done) => told.push(done),
  });
  expect(result.left).toBe(0);
  expect(told).toEqual([0, 1, 2, 3, 4, 5]);
  const entries = Object.values(result.book.entries);
  expect(entries).toHaveLength(6);
  for (const { trials } of entries) {
    expect(trials.filter((t) => t.ms === null)).toEqual([]);
    expect(trials[0]!.ms).toBe(Math.min(...trials.map((t) => t.ms!)));
  }
  expect(entries.some(({ trials }) => trials.some(({ schedule }) => 'kGroups' in schedule && schedule.kGroups === 2))).toBe(true);
  const used = new Set<string>();
  const tuned = compileModel(traced, { device: { ...device, choose: bookChooser(result.book, (key) => used.add(key)) } });
  expect(used.size).toBe(6);
  const groups = ({ program }: Compiled): number[] => program.functions.map((f) => groupDispatches(f).length);
  expect(groups(tuned)).toEqual(groups(standard));
  // what is known is not asked for again
  const again = collector(result.book, ['B', 'T'], dims);
  compileModel(traced, { device: { ...device, choose: again.choose } });
  expect(again.open()).toHaveLength(problems.length - 6);
});
