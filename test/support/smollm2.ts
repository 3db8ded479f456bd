/** @file Where SmolLM2-135M's GGUF file lies: EBB_SMOLLM2 names it, `none` leaves it out loudly; without either its usual place is looked at. */

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Declares tests over the file. Where the variable is `none` one passing test states that they are left out.
 * @throws Error where the file is absent and was not left out on purpose
 */
export function withSmolLm2(declare: (file: string) => void): void {
  const named = process.env['EBB_SMOLLM2'];
  if (named === 'none') {
    console.warn('\n*** NOT TESTED: SmolLM2, because EBB_SMOLLM2 is "none" ***\n');
    it('SmolLM2 is left out: EBB_SMOLLM2 is "none"', () => expect(process.env['EBB_SMOLLM2']).toBe('none'));
    return;
  }
  const file = named ?? join(homedir(), '.cache', 'ebb-models', 'SmolLM2-135M-Instruct.Q4_1.gguf');
  if (!existsSync(file)) throw new Error(`${file} does not exist, and the fixtures hold its numbers: set EBB_SMOLLM2 to the file, or to none to leave it out`);
  declare(file);
}
