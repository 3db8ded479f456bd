/** @file The configuration of a run: what `run.yaml` may hold, with defaults; every error names the key. */

import { z } from 'zod';
import { fieldNames } from '../data/fieldNames.ts';
import { isDefaulted } from '../dropbp/fields.ts';
import { DROP_PLAN_KINDS, type DropPlanConfig, misfitOf } from '../dropbp/plans/index.ts';
import { EbbError, option } from '../errors.ts';
import { type OtherNames, problemsOf, problemsText } from '../issues.ts';

const adapter = z
  .strictObject({
    layers: z
      .array(z.string())
      .optional()
      .describe('layers that get an adapter, by globs over their names such as *.q_proj; default all linear layers of the units'),
    rank: z.int().positive().optional().describe('rank of the adapter; default 8'),
    alpha: z.number().positive().optional().describe('alpha of the adapter, whose scale is alpha / rank; default 16'),
    rslora: z.boolean().optional().describe('scales by alpha / √rank (rsLoRA); default false'),
    dropout: z.number().min(0).max(0.99).default(0).describe('share of the elements that go into the adapter and are dropped'),
    from: z.string().optional().describe('a PEFT folder to go on with; its own settings are the defaults then'),
  })
  .transform(({ from, ...given }) => {
    if (from !== undefined) return { ...given, from };
    const { layers = ['*'], rank = 8, alpha = 16, rslora = false, dropout } = given;
    return { layers, rank, alpha, rslora, dropout, from: undefined };
  });

/** The device computes in f32, where a number of this size or more is infinite. */
const BEYOND = 2 ** 128;
/** The smallest number that every device keeps apart from 0. */
const LEAST = 2 ** -126;

const rate = z.number().nonnegative().lt(BEYOND, `expected less than ${BEYOND}, where f32 ends`);
/** How slowly a moment forgets: at 1 it takes nothing in. */
const forgets = z
  .number()
  .min(0)
  .lt(1)
  .refine((value) => Math.fround(value) < 1, 'expected less than 0.9999999, which f32 does not round to 1');

/** Refuses a decay that takes away a weight as a whole in one step, or more of it. */
function checkDecay({ lr, weightDecay }: { readonly lr: number; readonly weightDecay: number }, context: z.RefinementCtx): void {
  if (lr * weightDecay < 1) return;
  const [key, other, value] = lr < 1 ? (['weightDecay', 'lr', lr] as const) : (['lr', 'weightDecay', weightDecay] as const);
  const message = `expected less than ${1 / value}, since ${other} is ${value} and a step takes away lr · weightDecay of a weight`;
  context.addIssue({ code: 'custom', path: [key], message });
}

const weightDecay = z.number().nonnegative().describe('share of a weight that is taken away in a step, times the learning rate');
const adamw = z
  .strictObject({
    name: z.literal('adamw').default('adamw').describe('adamw or sgd'),
    lr: rate.default(1e-4).describe('learning rate'),
    betas: z.tuple([forgets, forgets]).default([0.9, 0.999]).describe('how slowly the two moments forget'),
    eps: z
      .number()
      .min(LEAST, `expected at least ${LEAST}, which f32 keeps apart from 0: a weight whose gradients are all 0 is divided by it`)
      .default(1e-8)
      .describe('what is added to the root of the second moment'),
    weightDecay: weightDecay.default(0.01),
  })
  .superRefine(checkDecay);
const sgd = z
  .strictObject({
    name: z.literal('sgd'),
    lr: rate.default(1e-2).describe('learning rate'),
    momentum: forgets.default(0).describe('how slowly the momentum forgets'),
    dampening: z.number().min(0).lt(1).default(0).describe('share of the gradient that does not enter the momentum'),
    nesterov: z.boolean().default(false).describe("Nesterov's momentum"),
    weightDecay: weightDecay.default(0),
  })
  .superRefine(({ nesterov, momentum, dampening, ...rates }, context) => {
    checkDecay(rates, context);
    if (momentum === 0 && dampening > 0)
      context.addIssue({
        code: 'custom',
        path: ['dampening'],
        message: 'expected 0, or a momentum above 0: it is the share of the gradient that does not enter the momentum',
      });
    if (nesterov && (momentum === 0 || dampening > 0))
      context.addIssue({
        code: 'custom',
        path: ['nesterov'],
        message: `expected false, or a momentum above 0 and no dampening (momentum is ${momentum}, dampening ${dampening})`,
      });
  });
const optimizer = z.discriminatedUnion('name', [adamw, sgd]);

/** A plan's own keys, with their defaults. */
function planSchema({ kind, fields }: (typeof DROP_PLAN_KINDS)[number]) {
  const keys = Object.entries(fields).map(([name, field]): [string, z.ZodType] => {
    const key = z
      .unknown()
      .superRefine((value, context) => {
        if (!field.accepts(value)) context.addIssue({ code: 'custom', message: `expected ${field.expected}` });
      })
      .meta({ ...field.jsonSchema });
    return [name, isDefaulted(field) ? key.default(field.fallback) : key];
  });
  return z.strictObject({ kind: z.literal(kind), ...Object.fromEntries(keys) });
}
type PlanSchema = ReturnType<typeof planSchema>;

const plans = z.discriminatedUnion('kind', DROP_PLAN_KINDS.map(planSchema) as [PlanSchema, ...PlanSchema[]]).superRefine((plan, context) => {
  const misfit = misfitOf(plan as unknown as DropPlanConfig);
  if (misfit) context.addIssue({ code: 'custom', path: [misfit.field], message: `expected ${misfit.expected}` });
});
/** A rate stands for a uniform plan. The schemas were made of the plans' own keys, whose types this says. */
const drop = z.union([
  z
    .number()
    .min(0)
    .max(1)
    .transform((rate): DropPlanConfig => (rate === 0 ? { kind: 'none' } : { kind: 'uniform', rate })),
  plans as unknown as z.ZodType<DropPlanConfig, DropPlanConfig>,
]);

const UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };

/** Bytes of `2GiB`, or of a number. */
function bytesOf(given: string | number, context: z.RefinementCtx): number {
  const [, amount, unit = ''] = /^\s*([\d.]+)\s*([a-z]*)\s*$/i.exec(String(given)) ?? [];
  const bytes = Number(amount) * (UNITS[unit.toUpperCase() || 'B'] ?? Number.NaN);
  if (bytes > 0) return Math.floor(bytes);
  context.addIssue({ code: 'custom', message: 'expected bytes, as a number or like 2GiB, 500MB' });
  return z.NEVER;
}

const steps = (description: string) => z.int().nonnegative().default(0).describe(description);

/** The keys of a run file. The descriptions are what editors and `--help` show. */
export const runSchema = z.strictObject({
  $schema: z.string().optional().describe('the JSON Schema of this file, for editors; it changes nothing'),
  model: z.string().describe('checkpoint folder, GGUF file, hub id or definition (.ts)'),
  weights: z.string().optional().describe("of a definition: safetensors with the parameters' names, or a checkpoint; without it all parameters are drawn anew"),
  data: z.string().describe('text, JSONL, batches as safetensors, or int32 tokens (.bin)'),
  evalData: z.string().optional().describe('held-out data of the same kinds'),
  out: z.string().default('runs/latest').describe('run folder'),
  chatTemplate: z
    .string()
    .optional()
    .describe('chat template for conversations: a Jinja file, or the name of one of the templates of the model; default as the model says'),
  binType: z.enum(['int32', 'uint16', 'uint32']).optional().describe('how the token ids of a .bin file are written, little-endian; default int32'),
  fields: fieldNames.default({}).describe("what a record's fields are called where they have other names, such as prompt: question"),
  steps: z.int().positive().optional().describe('optimizer steps; default: one epoch'),
  epochs: z.number().positive().optional().describe('how often every example is learnt, where steps are not given'),
  batch: z.int().positive().default(1).describe('sequences a micro-batch'),
  length: z.int().positive().default(256).describe('most tokens of a sequence'),
  accumulate: z.int().positive().default(1).describe('micro-batches a step'),
  lossOver: z
    .enum(['tokens', 'microBatches'])
    .optional()
    .describe('what the loss of a step is a mean over: all its tokens that are learnt, or its micro-batches, each of which counts alike; default tokens'),
  lora: z
    .union([z.literal(false), z.literal(true).transform(() => adapter.parse({})), adapter])
    .default(false)
    .describe('train a low-rank adapter instead of all weights: true, or its settings'),
  optimizer: optimizer.default(adamw.parse({})).describe('AdamW where no name is given'),
  decay: z.enum(['matrices', 'all']).default('matrices').describe('which parameters are under weight decay; matrices have two or more dimensions'),
  schedule: z.enum(['constant', 'linear', 'cosine']).default('constant').describe('how the learning rate goes on after the warm-up'),
  warmupSteps: steps('steps in which the learning rate rises from 0'),
  scheduleSteps: z.int().positive().optional().describe('steps that the schedule takes, after which the last rate is kept; default: all steps of the run'),
  clip: z.number().nonnegative().default(1).describe('largest norm of the whole gradient; 0 clips nothing'),
  missingGrad: z.enum(['skip', 'zeros']).default('skip').describe('a parameter without a gradient is not updated, or updated with zeros'),
  allDropped: z
    .enum(['backward', 'skip'])
    .default('backward')
    .describe('what a micro-batch does whose units are all dropped: train the trunk above, or nothing'),
  drop: drop.default({ kind: 'none' }).describe('which residual branches get no backward in a step: a drop rate, or a plan'),
  seed: z.int().nonnegative().default(0).describe('seed of everything random'),
  shuffle: z
    .boolean()
    .optional()
    .describe(
      'whether each epoch has another order; default true for text and records, and false for ready batches, which then come in the order of their file',
    ),
  pack: z.boolean().default(false).describe('whether a sequence of a batch holds several short ones, which do not see each other'),
  bucket: z.boolean().default(false).describe('whether sequences of like length share a batch; not with pack'),
  evalEvery: steps('steps between held-out evaluations; 0: before and after the run alone'),
  evalLimit: z.int().positive().default(64).describe('held-out examples'),
  keepBest: z.boolean().default(true).describe('whether what had the lowest held-out loss of the evaluations is kept beside the result, in best/'),
  patience: z.int().positive().optional().describe('evaluations without a lower held-out loss after which the run ends; default: none end it'),
  resultDtype: z
    .enum(['checkpoint', 'f32', 'bf16', 'f16'])
    .default('checkpoint')
    .describe('type of the trained weights that the run leaves: as the checkpoint has them (f32 where those are quantised, and in adapters), or one for all'),
  saveEvery: steps('steps between checkpoints; one is always written at the end'),
  device: z.string().default('auto').describe('device of this machine: auto, gpu, lavapipe, swiftshader, or part of its name'),
  matmulPrecision: z
    .enum(['f32', 'f16'])
    .default('f32')
    .describe('what operands of matrix products may be rounded to, where the device multiplies matrices of f16; sums are f32'),
  memoryBudget: z
    .union([z.number(), z.string()])
    .transform(bytesOf)
    .optional()
    .describe('most device memory of the run, such as 2GiB; to keep it, some branches run their forward again'),
  tune: z
    .union([z.enum(['auto', 'off']), z.number().nonnegative()])
    .default('auto')
    .describe('seconds that may go into measuring how kernels are cut best; auto: 5 % of what the run takes at least; off: as the kind of device starts'),
});

/** The keys of a run file, as far as they fit each other. */
const wholeRun = runSchema.superRefine(({ pack, bucket, patience, evalData, evalEvery }, context) => {
  if (patience !== undefined && (evalData === undefined || evalEvery === 0))
    context.addIssue({
      code: 'custom',
      path: ['patience'],
      message: `expected ${evalData === undefined ? 'evalData' : 'evalEvery'} beside it: it counts evaluations of held-out data during the run`,
    });
  if (pack && bucket)
    context.addIssue({ code: 'custom', path: ['bucket'], message: 'expected false where pack is true: packed rows are of like length anyway' });
});

/** A run, checked and with every default filled in: the keys of `run.yaml` (docs/training.md). */
export type RunConfig = Omit<z.infer<typeof runSchema>, '$schema'>;
export type RunInput = z.input<typeof runSchema>;

/** Keys by the names they had in version 0.1.0, with what they hold. */
const RENAMED: readonly { readonly from: string; readonly to: keyof RunInput; readonly holds: (value: unknown) => boolean }[] = [
  { from: 'adapter', to: 'device', holds: (value) => typeof value === 'string' },
];

/** The input under the names that keys have now. @param note is told of each old one @throws EbbError for a key that is given by both names */
export function withNewNames(input: object, file: string, note: (text: string) => void): object {
  return RENAMED.reduce((keys, { from, to, holds }) => {
    const value: unknown = Reflect.get(keys, from);
    if (!holds(value)) return keys;
    if (Reflect.get(keys, to) !== undefined) throw new EbbError(`${file}: ${from} is what ${to} was called, and both are given; give ${to} alone`, 'config');
    note(`${file}: the key ${from} is called ${to} now; the old name is still read`);
    const { [from]: _old, ...rest } = keys as Record<string, unknown>;
    return { ...rest, [to]: value };
  }, input);
}

const HINT = 'docs/training.md lists the keys';

/** Keys without which there is no run. Each has a flag of its own. */
const REQUIRED: readonly string[] = ['model', 'data'];

/** What other tools call keys of a run. */
const OTHER_NAMES: OtherNames = {
  lr: 'optimizer.lr',
  learningrate: 'optimizer.lr',
  weightdecay: 'optimizer.weightDecay',
  numtrainepochs: 'epochs',
  maxsteps: 'steps',
  batchsize: 'batch',
  microbatchsize: 'batch',
  perdevicetrainbatchsize: 'batch',
  gradientaccumulationsteps: 'accumulate',
  maxlength: 'length',
  maxseqlength: 'length',
  maxseqlen: 'length',
  sequencelen: 'length',
  maxgradnorm: 'clip',
  lrschedulertype: 'schedule',
  lrscheduler: 'schedule',
  betas: 'optimizer.betas',
  adambeta1: 'optimizer.betas',
  adambeta2: 'optimizer.betas',
  eps: 'optimizer.eps',
  adamepsilon: 'optimizer.eps',
  numepochs: 'epochs',
  cutofflen: 'length',
  sequencelength: 'length',
  seqlen: 'length',
  trainbatchsize: 'batch',
  gradclip: 'clip',
  gradientclipping: 'clip',
  r: 'lora.rank',
  rank: 'lora.rank',
  alpha: 'lora.alpha',
  lorar: 'lora.rank',
  lorarank: 'lora.rank',
  loraalpha: 'lora.alpha',
  loradropout: 'lora.dropout',
  targetmodules: 'lora.layers',
  outputdir: 'out',
  evalsteps: 'evalEvery',
  savesteps: 'saveEvery',
  warmup: 'warmupSteps',
  earlystoppingpatience: 'patience',
  loadbestmodelatend: 'keepBest',
  numwarmupsteps: 'warmupSteps',
  evaldataset: 'evalData',
  valdata: 'evalData',
  validationdata: 'evalData',
  adapterpath: 'lora.from',
  adapternameorpath: 'lora.from',
  dataset: 'data',
  datasetpath: 'data',
  basemodel: 'model',
  modelnameorpath: 'model',
  droprate: 'drop.rate',
};

/**
 * Checks a config. @param note is told of keys that are given by a name they had in an earlier version; default: nobody is
 * @throws EbbError naming the file and all wrong keys, what was found and what was expected
 */
export function parseConfig(given: unknown, file: string, note: (text: string) => void = () => {}): RunConfig {
  const input = typeof given === 'object' && given !== null ? withNewNames(given, file, note) : given;
  const parsed = wholeRun.safeParse(input);
  if (parsed.success) {
    const { $schema: _schema, ...config } = parsed.data;
    return config;
  }
  const problems = problemsOf(runSchema, parsed.error, input, OTHER_NAMES).map((problem) => {
    const { key, isMissing } = problem;
    return isMissing && REQUIRED.includes(key) ? { text: `${key} is missing; give ${option(key)}, or the key in a run file (YAML)` } : problem;
  });
  throw new EbbError(problemsText(file, problems, HINT), 'config');
}
