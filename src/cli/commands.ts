/** @file The commands of `ebb`: each one's name, what it is for, and the file that is loaded when it is called. */

import type { AddOptions } from './addOptions.ts';

export interface CommandEntry {
  readonly name: string;
  readonly description: string;
  readonly load: () => Promise<AddOptions>;
}

/** In the order in which `ebb --help` lists them. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'init',
    description: 'write a run file for a model and data, with a comment for each key',
    load: async () => (await import('./commands/init.ts')).initCommand,
  },
  {
    name: 'train',
    description: 'fine-tune a model; a run file (YAML) may hold any key of a run, and flags override it',
    load: async () => (await import('./commands/train.ts')).trainCommand,
  },
  {
    name: 'watch',
    description: 'show a run while it goes on in another process, on the terminal or on a page',
    load: async () => (await import('./commands/watch.ts')).watchCommand,
  },
  {
    name: 'runs',
    description: 'compare runs: a table of those in folders, or a page with their losses laid over one another',
    load: async () => (await import('./commands/runs.ts')).runsCommand,
  },
  {
    name: 'plan',
    description: 'say what device memory a run takes, to the byte, without running it; with a memory budget it says how long sequences can be, too',
    load: async () => (await import('./commands/plan.ts')).planCommand,
  },
  {
    name: 'analyze',
    description: "measure on a run's own model and data what dropping saves and what it does to the gradient, and say which rate to train with; trains nothing",
    load: async () => (await import('./commands/analyze.ts')).analyzeCommand,
  },
  {
    name: 'compile',
    description: 'compile a model into a folder that trains it: trainer, kernels, plan, IR',
    load: async () => (await import('./commands/compile.ts')).compileCommand,
  },
  {
    name: 'eval',
    description: 'compute the held-out loss of a model',
    load: async () => (await import('./commands/eval.ts')).evalCommand,
  },
  {
    name: 'generate',
    description: 'continue a prompt',
    load: async () => (await import('./commands/generate.ts')).generateCommand,
  },
  {
    name: 'forward',
    description: 'compute the logits of a batch, or what a definition returns for it, to check a port of a model',
    load: async () => (await import('./commands/forward.ts')).forwardCommand,
  },
  {
    name: 'grad',
    description:
      'compute loss and gradients of a batch, to check a port of a model; a batch without a label to learn (all ignored, or a single token) has loss 0 and zero gradients, where torch gives NaN',
    load: async () => (await import('./commands/grad.ts')).gradCommand,
  },
  {
    name: 'inspect',
    description:
      'show the IR of a model at any stage, the difference of two stages or patterns, or what a drop pattern costs; a .ebb dump is parsed and printed',
    load: async () => (await import('./commands/inspect.ts')).inspectCommand,
  },
  {
    name: 'check',
    description: 'say what files are, and whether Ebb can use them',
    load: async () => (await import('./commands/check.ts')).checkCommand,
  },
  {
    name: 'data',
    description: 'show what data becomes for a model: records, their tokens, and which of them are learnt',
    load: async () => (await import('./commands/data.ts')).dataCommand,
  },
  {
    name: 'doctor',
    description: 'show the devices of this machine, their limits and the measured speed',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
  {
    name: 'tune',
    description: "measure which schedules make a model's kernels fastest on this device; train, compile and inspect --measure use what was found",
    load: async () => (await import('./commands/tune.ts')).tuneCommand,
  },
  {
    name: 'demo',
    description: 'train the bundled model on another kind of text, in a few minutes',
    load: async () => (await import('./commands/demo.ts')).demoCommand,
  },
];
