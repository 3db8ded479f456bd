/** @file Only ir/ops knows ops by name: elsewhere passes and kernels ask what an op says of itself. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allOps } from '../../src/ir/ops/index.ts';

const SRC = join(__dirname, '../../src');
const files = readdirSync(SRC, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.ts') && !/^(ir[\\/]ops|cli|inspect[\\/]page|analyze[\\/]page)[\\/]/.test(file));
const names = allOps()
  .map((def) => def.name)
  .join('|');
/** A comparison with an op's name, or a list of ops that something is looked up in. */
const ASKS = new RegExp(`name (===|!==) '(${names})'|\\[('(${names})'(, )?){2,}\\]\\.includes`, 'g');

it('no op is asked for by name', () => {
  const asked = files.flatMap((file) => [...readFileSync(join(SRC, file), 'utf8').matchAll(ASKS)].map(([text]) => `${file}: ${text}`));
  expect(asked).toEqual([]);
});
