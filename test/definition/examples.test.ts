/** @file Every model in examples/ is a definition. It traces to a module that verifies, and whose text reads back unchanged. test/cli/examples trains them. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { definitionLoader, traceDefinition } from '../../src/definition/load.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { printModule } from '../../src/ir/print.ts';
import { verify } from '../../src/ir/verify.ts';
import { ROOT } from '../support/cli.ts';

const EXAMPLES = readdirSync(join(ROOT, 'examples')).filter(
  (f) => f.endsWith('.ts') && readFileSync(join(ROOT, 'examples', f), 'utf8').includes('export const model = '),
);

const loadDefinition = definitionLoader();

it('are the models of examples/', () => {
  expect(EXAMPLES).toEqual(['char-transformer.ts', 'custom-op.ts', 'gpt2.ts', 'llama.ts', 'mlp.ts', 'unet.ts', 'vision-transformer.ts']);
});

it.each(EXAMPLES)('%s', async (file) => {
  const loaded = await loadDefinition(join(ROOT, 'examples', file));
  expect(loaded.exportName).toBe('model');
  const { module, units } = traceDefinition(loaded, { dims: {} });
  verify(module);
  const text = printModule(module, { locs: true });
  expect(printModule(parseModule(text, file), { locs: true })).toBe(text);
  expect(text).toContain(`loc(${file}:`);
  // a constant has no line, because equal constants are one value wherever they are used
  const lost = module.funcs.flatMap((f) =>
    f.ops.filter((op) => op.name !== 'constant' && op.results.some((r) => !r.loc)).map((op) => `@${f.name}: ${op.name}`),
  );
  expect(lost).toEqual([]);
  expect(units.length).toBeGreaterThan(1);
});
