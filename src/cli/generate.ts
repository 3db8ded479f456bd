/** @file `ebb generate`: text from a prompt, streamed as it comes. */

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

/** Generates and hands out text piece by piece; returns the whole. */
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
    // an incomplete character waits for its next bytes
    if (whole.endsWith('\ufffd')) continue;
    write(whole.slice(shown.length));
    shown = whole;
  }
  generator.close();
  // bytes that are no character to the end
  if (whole !== shown) write(whole.slice(shown.length));
  return whole;
}
