/** @file The reference implementation, for comparing with it: a test that needs it fails where it is not installed. */

import type { EngineChoice } from '../../src/tokenizer/build.ts';
import { rustEngine } from '../../src/tokenizer/rust.ts';

export const reference: EngineChoice = async (path, json) => {
  const engine = await rustEngine(path, json);
  if (!engine) throw new Error('the npm package tokenizers is not installed');
  return engine;
};
