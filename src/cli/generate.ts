/** @file `ebb generate`: continues a prompt, and writes the text as it is made. */

import { createGenerator } from '../generate.ts';
import { openCheckpoint } from '../models/checkpoint.ts';
import type { CommandDevice } from '../node/device.ts';
import { loadAdapter } from '../run/adapter.ts';
import { loraOf } from '../session.ts';
import { modelPath } from './model.ts';

export interface GenerateCommandOptions {
  readonly prompt: string;
  /** Render the prompt as a user's turn by the model's chat template. */
  readonly chat: boolean;
  readonly adapter?: string | undefined;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
}

/** Continues a prompt. It passes each piece of text to `write` as it is made, and returns the whole text. @throws EbbError for a model or an adapter that cannot be used, and a prompt that is too long */
export async function runGenerate(model: string, options: GenerateCommandOptions, device: CommandDevice, write: (piece: string) => void): Promise<string> {
  const checkpoint = openCheckpoint(await modelPath(model));
  const tokenizer = checkpoint.tokenizer();
  const adapter = options.adapter === undefined ? null : loadAdapter(options.adapter);
  const text = options.chat ? tokenizer.renderChat([{ role: 'user', content: options.prompt }], { addGenerationPrompt: true }) : options.prompt;
  const prompt = tokenizer.encode(text, { special: !options.chat });
  const capacity = Math.min(checkpoint.config.maxPosition, prompt.length + options.maxNewTokens);
  const generator = await createGenerator(checkpoint, device, {
    capacity,
    lora: adapter ? loraOf(adapter) : null,
  });
  const stopIds = [...new Set([...checkpoint.config.eosTokenIds, ...(tokenizer.eosTokenId === null ? [] : [tokenizer.eosTokenId])])];
  const ids: number[] = [];
  let shown = '';
  let whole = '';
  for await (const id of generator.generate(prompt, { ...options, stopIds })) {
    if (stopIds.includes(id)) break;
    ids.push(id);
    whole = tokenizer.decode(ids, { skipSpecial: true });
    // The last character is incomplete until its next bytes come.
    if (whole.endsWith('\ufffd')) continue;
    write(whole.slice(shown.length));
    shown = whole;
  }
  generator.close();
  // Bytes at the end that never make a character.
  if (whole !== shown) write(whole.slice(shown.length));
  return whole;
}
