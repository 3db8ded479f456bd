/** @file The API reference: every export says what it is, and docs/api is what the sources say. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../support/cli.ts';

it('docs/api is what npm run docs:api writes, with a docstring for every export', async () => {
  const check = promisify(execFile)(join(ROOT, 'node_modules/.bin/tsx'), ['scripts/api.ts', '--check'], { cwd: ROOT });
  expect(await check.catch((error: { stderr: string }) => error)).toMatchObject({ stderr: '' });
});
