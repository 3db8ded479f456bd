/** @file Which rate is recommended: the one with the most certain progress a second, or none where dropping does not pay. */

import { recommend, type SettingOutcome } from '../../src/dropbp/fidelity/recommend.ts';

const UNITS = 24;
/** Values around `mean`, one a batch. */
const around = (mean: number, spread: number): number[] => [mean - spread, mean + spread, mean, mean];
const trial = (name: string, ms: number, cosine: number, progress: number, spread = 0.004): SettingOutcome => ({
  name,
  ms,
  roundMs: [ms, 1.01 * ms, ms],
  cosine: around(cosine, spread),
  progress: around(progress, spread),
});
const none = trial('none', 100, 1, 0.5, 0.001);

it('takes the most progress a second, not the fastest and not the most faithful', () => {
  const found = recommend(none, [trial('a quarter', 88, 0.97, 0.485), trial('half', 75, 0.9, 0.45), trial('most', 60, 0.5, 0.25)], UNITS);
  expect(found).toMatchObject({ name: 'half', yardstick: 'other batches', caveats: [] });
  expect(found.worths.map((w) => Number(w.gain.mean.toFixed(2)))).toEqual([1.1, 1.2, 0.83]);
  expect(found.reason).toMatch(
    /^half: a step takes 0\.75 ± 0\.00 of the time of a full one and makes 0\.90 ± 0\.0\d of its progress, so 1\.20 ± 0\.0\d times the progress a second\.$/,
  );
});

it('recommends to drop nothing where every setting loses more than it saves', () => {
  const found = recommend(none, [trial('half', 75, 0.7, 0.35), trial('most', 60, 0.4, 0.2)], UNITS);
  expect(found.name).toBeNull();
  expect(found.reason).toMatch(/^drop nothing: of the settings measured half comes closest, .* 0\.93 ± 0\.0\d times/);
});

it('recommends nothing whose gain may be chance, and says so', () => {
  const found = recommend(none, [trial('half', 90, 0.95, 0.47, 0.2)], UNITS);
  expect(found.worths[0]!.gain.mean).toBeGreaterThan(1.04);
  expect(found).toMatchObject({ name: null, caveats: [expect.stringMatching(/errors are larger than the differences/)] });
});

it('does not take noise of the clock for a gain', () => {
  const steady = trial('half', 80, 0.9, 0.45);
  const shaky = { ...steady, roundMs: [80, 140, 60] };
  expect(recommend(none, [steady], UNITS).name).toBe('half');
  expect(recommend(none, [shaky], UNITS).name).toBeNull();
});

it('names settings that are not told apart from the best', () => {
  const found = recommend(none, [trial('half', 75, 0.9, 0.45), trial('other half', 75.2, 0.9, 0.45), trial('bad', 75, 0.2, 0.1)], UNITS);
  expect(found.caveats).toEqual([expect.stringMatching(/within a standard error of it: other half \(1\.20 ± 0\.0\d\); which/)]);
});

it('measures by the same batch where batches do not agree, or where there is one', () => {
  const blind = { ...none, progress: around(0.01, 0.3) };
  const trials = [{ ...trial('half', 75, 0.9, 0.45), progress: around(-0.01, 0.3) }];
  expect(recommend(blind, trials, UNITS)).toMatchObject({ name: 'half', yardstick: 'same batch', caveats: [expect.stringMatching(/agree too little/)] });
  const one = (t: SettingOutcome): SettingOutcome => ({ ...t, cosine: t.cosine.slice(0, 1), progress: null });
  const found = recommend(one(none), trials.map(one), UNITS);
  expect(found).toMatchObject({ name: 'half', agreement: null, caveats: [expect.stringMatching(/one batch tells nothing of other data/)] });
});

it('says where a model is shallow, and where nothing is saved', () => {
  const { caveats } = recommend(none, [trial('half', 98, 0.99, 0.499)], 4);
  expect(caveats.join()).toMatch(/the model is shallow: each of its 4 units/);
  expect(caveats.join()).toMatch(/saves next to nothing here: a step takes at least 0\.98/);
});
