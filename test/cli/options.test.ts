import { freshAdapter } from '../../src/cli/options.ts';

it('makes an adapter of --lora, of --rank alone, and of neither none', () => {
  const adapter = { layers: ['*'], rank: 8, alpha: 16 };
  expect(freshAdapter({ lora: true })).toEqual(adapter);
  expect(freshAdapter({ rank: 4 })).toEqual({ ...adapter, rank: 4, alpha: 8 });
  expect(freshAdapter({})).toBe(false);
});
