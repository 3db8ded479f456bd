/** @file `ebb generate`: continues a prompt. */

import type { Command } from 'commander';
import { type AnswerOptions, loadModel } from '../../session/loadModel.ts';
import { type AdapterFlags, adapterOf, adapterOption, deviceOption } from '../../terminal/deviceFlags.ts';
import { count, nonNegative, positive, print, share } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../addOptions.ts';
import { givenOptions, refuseUnread } from '../given.ts';

/** The options that say how a token is drawn. */
const DRAWING = ['top-k', 'top-p', 'seed'];

interface GenerateFlags extends Required<Omit<AnswerOptions, 'signal'>>, AdapterFlags {
  readonly prompt: string;
  readonly chat: boolean;
  readonly chatTemplate?: string;
}

/** `ebb generate`. */
export const generateCommand: AddOptions = (command) =>
  command
    .argument('<model>', 'checkpoint folder, GGUF file or hub id')
    .requiredOption('--prompt <text>', 'text to continue')
    .option('--chat', "render the prompt as a user's turn by the model's chat template", false)
    .option('--max-new-tokens <n>', 'most tokens to make', positive, 128)
    .option('--temperature <x>', '0 always takes the likeliest token; above 0 tokens are drawn', nonNegative, 0)
    .option('--top-k <n>', 'draw from the k likeliest tokens only; 0 keeps all', count, 0)
    .option('--top-p <x>', 'draw from the likeliest tokens only, whose probabilities add up to this; above 0 and at most 1', share, 1)
    .option('--seed <n>', 'seed of the draws', count, 0)
    .option('--chat-template <file>', "chat template: a Jinja file, or the name of one of the model's")
    .addOption(adapterOption())
    .addOption(deviceOption())
    .action(async (model: string, flags: GenerateFlags, own: Command) => {
      if (!flags.chat)
        refuseUnread(
          givenOptions(own),
          ['chat-template'],
          'a template renders conversations, and the prompt is continued as it is',
          () => 'give --chat too, or leave --chat-template out',
        );
      if (flags.temperature === 0)
        refuseUnread(
          givenOptions(own),
          DRAWING,
          'at temperature 0 the likeliest token is always taken, and none is drawn',
          (option) => `give a --temperature above 0, or leave ${option} out`,
        );
      const { prompt, chat, maxNewTokens, temperature, topK, topP, seed } = flags;
      const how = { maxNewTokens, temperature, topK, topP, seed };
      await withProgress(async (watch) => {
        const loaded = await loadModel(model, { ...adapterOf(flags), chatTemplate: flags.chatTemplate, ...watch });
        try {
          const answer = chat ? loaded.chat([{ role: 'user', content: prompt }], how) : loaded.generate(prompt, how);
          for await (const piece of answer) process.stdout.write(piece);
        } finally {
          loaded.close();
        }
      });
      print('');
    });
