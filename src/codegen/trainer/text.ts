/** @file The texts around a trainer: plan.json in lines a person can read and diff, README.md, package.json, tsconfig.json, the page. */

import type { ModelAbout, Plan } from '../../runtime/plan.ts';

/** JSON with one line for each item of a top-level list, and one for each other key. */
export function planText(plan: Plan): string {
  const lines = Object.entries(plan).map(([key, value]) => {
    if (!Array.isArray(value) || value.length === 0) return `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`;
    return `  ${JSON.stringify(key)}: [\n${value.map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]`;
  });
  return `{\n${lines.join(',\n')}\n}\n`;
}

export function manifestText(name: string, dependencies: Readonly<Record<string, string>>): string {
  const safe =
    name
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, '-')
      .replace(/^[-._]+/, '') || 'model';
  const manifest = {
    name: `${safe}-trainer`,
    version: '1.0.0',
    private: true,
    type: 'module',
    scripts: { start: 'node trainer.js', types: 'tsc -p tsconfig.json' },
    dependencies,
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

export const TSCONFIG_TEXT = `${JSON.stringify(
  {
    compilerOptions: {
      target: 'es2022',
      module: 'esnext',
      moduleResolution: 'bundler',
      lib: ['es2023', 'dom', 'dom.iterable'],
      types: [],
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      noImplicitOverride: true,
      noImplicitReturns: true,
      noFallthroughCasesInSwitch: true,
      noPropertyAccessFromIndexSignature: true,
      noUnusedLocals: true,
      noUnusedParameters: true,
      verbatimModuleSyntax: true,
      isolatedModules: true,
      skipLibCheck: true,
      noEmit: true,
    },
    include: ['trainer.ts'],
  },
  null,
  2,
)}\n`;

/** The page of a standalone trainer. */
export function pageText(name: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${name.replace(/[<&]/g, '')}</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  form { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 0.8rem; align-items: end; }
  label span { display: block; font-size: 0.85rem; opacity: 0.75; }
  input, button { font: inherit; width: 100%; box-sizing: border-box; padding: 0.3rem; }
  canvas { width: 100%; color: #2a7de1; border: 1px solid color-mix(in srgb, currentColor 30%, transparent); margin: 1rem 0; border-radius: 6px; }
</style>
<main></main>
<script type="module">
  import { openPage, trainer } from './trainer.js';
  openPage(trainer, document.querySelector('main'));
</script>
</html>
`;
}

export interface ReadmeFacts {
  readonly about: ModelAbout;
  readonly ebb: string;
  readonly standalone: boolean;
  readonly dims: string;
  readonly counts: { readonly units: number; readonly functions: number; readonly kernels: number; readonly params: number; readonly trained: number };
  /** Rows of what a step costs at drop rates: rate, backward share, saved bytes, peak bytes. */
  readonly rates: readonly { readonly rate: number; readonly flops: string; readonly saved: string; readonly peak: string }[];
  readonly inputs: readonly string[];
  readonly device: string;
}

export function readmeText(f: ReadmeFacts): string {
  const method = f.about.lora
    ? `a low-rank adapter (rank ${f.about.lora.rank}, alpha ${f.about.lora.alpha}) on ${Object.keys(f.about.lora.layers).length} layers`
    : 'all parameters';
  const run = 'node trainer.js --weights model.safetensors --data batches.safetensors --steps 100 --lr 1e-3 --drop-rate 0.5 --seed 1 --out runs/mine';
  return `# Trainer of ${f.about.name}

Trains ${method}. Made by \`ebb compile\` (Ebb ${f.ebb}) for ${f.device}; nothing here compiles a model.

\`\`\`sh
${f.standalone ? 'npm install webgpu' : 'npm install ebb'}        # where node_modules/ does not have it already
${run}
node trainer.js --help
\`\`\`

\`--data\` takes ${f.about.vocabSize === null ? 'a safetensors file' : 'text or JSONL (with a checkpoint folder as weights), tokens (`.bin`: int32, `[batch, length + 1]` a step), or a safetensors file'} with ${f.about.vocabSize === null ? 'a tensor for each input' : '`input_ids`, `labels` and, if you like, `attention_mask`'}${f.about.vocabSize === null ? ` (${f.inputs.map((i) => `\`${i}\``).join(', ')})` : ''}, \`[steps, …]\`.
\`--config run.yaml\` takes every key of \`ebb train\`. The run folder holds \`metrics.jsonl\`, checkpoints that \`--resume\` goes on from, and the result.
${f.standalone ? '\n`index.html` trains in a browser with WebGPU: serve this folder over http (`npx serve`) and open it.\n' : ''}
| | |
|---|---|
| units (residual branches that may lose their backward) | ${f.counts.units} |
| functions, kernels | ${f.counts.functions}, ${f.counts.kernels} |
| parameters, trained | ${f.counts.params.toLocaleString('en')}, ${f.counts.trained.toLocaleString('en')} |
| largest step | ${f.dims} |

What a step of that size costs, counted from the linked program (drop pattern of seed 0):

| drop rate | forward and backward | saved activations | peak of activations |
|---|---|---|---|
${f.rates.map((r) => `| ${r.rate} | ${r.flops} | ${r.saved} | ${r.peak} |`).join('\n')}

## Files

- \`trainer.ts\`, \`trainer.js\`: the program: units, bounds, parameters, and the command line.
- \`plan.json\`: functions by form, calls, values and where they live: what the runtime links a drop pattern with. Format: docs/plan.md of Ebb.
- \`kernels/\`: WGSL, each headed by the lines of \`ir/4-fuse.ebb\` it was made of, and its cost.
- \`ir/\`: the model at every stage of the compiler; \`ebb inspect ir/1-trace.ebb\` reads it back.
${f.standalone ? '- `node.js`: the runtime and the command line, bundled; `index.html`: the page.\n' : ''}`;
}
