import { wantedAdapter } from '../../src/cli/options.ts';

it('makes an adapter of --lora, of --rank alone, of --adapter, and of none of them none', () => {
  const adapter = { layers: ['*'], rank: 8, alpha: 16 };
  expect(wantedAdapter({ lora: true })).toEqual(adapter);
  expect(wantedAdapter({ rank: 4 })).toEqual({ ...adapter, rank: 4, alpha: 8 });
  expect(wantedAdapter({})).toBe(false);
  expect(wantedAdapter({ adapter: 'runs/a' })).toEqual({ from: 'runs/a' });
  expect(() => wantedAdapter({ adapter: 'runs/a', rank: 4 })).toThrow('the adapter of --adapter (runs/a) has its own ranks');
});
