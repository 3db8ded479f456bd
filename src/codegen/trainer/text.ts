/** @file The texts around a trainer: plan.json in lines a person can read and diff, README.md, package.json, tsconfig.json, the page. */

import { STRICT } from '../../definition/strict.ts';
import type { ModelAbout, Plan } from '../../runtime/planFile.ts';

/** JSON with one line for each item of a top-level list, and one for each other key. */
export function planText(plan: Plan): string {
  const lines = Object.entries(plan).map(([key, value]) => {
    if (!Array.isArray(value) || value.length === 0) return `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`;
    return `  ${JSON.stringify(key)}: [\n${value.map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]`;
  });
  return `{\n${lines.join(',\n')}\n}\n`;
}

/** The versions of TypeScript that check a trainer. */
const TYPESCRIPT = '>=5.7';

/** The folder that stands for Ebb: no registry has to know it, and whoever installs it from a tarball replaces it. */
export const EBB_STUB = 'ebb';

/** @param webgpu the versions of `webgpu` that a package runs with which holds the rest; null where it runs with Ebb */
export function manifestText(name: string, webgpu: string | null): string {
  const safe =
    name
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, '-')
      .replace(/^[-._]+/, '') || 'model';
  const ebb = { ebb: `file:${EBB_STUB}` };
  const manifest = {
    name: `${safe}-trainer`,
    version: '1.0.0',
    private: true,
    type: 'module',
    scripts: { start: 'node trainer.js', types: 'tsc -p tsconfig.json' },
    dependencies: webgpu === null ? ebb : { webgpu },
    devDependencies: { ...(webgpu === null ? {} : ebb), typescript: TYPESCRIPT },
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
      ...STRICT,
      noUnusedLocals: true,
      noUnusedParameters: true,
      verbatimModuleSyntax: true,
    },
    include: ['trainer.ts', 'model.ts'],
  },
  null,
  2,
)}\n`;

const PAGE_STYLE = `
  :root {
    color-scheme: light dark; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Open Sans", sans-serif;
    --ground: light-dark(#f4f6f8, #0f1419); --panel: light-dark(#fff, #171d24); --line: light-dark(#cfd8e0, #364250);
    --ink: light-dark(#1a2530, #dfe7ee); --muted: light-dark(#526171, #9aa9b8); --accent: light-dark(#0b6e8f, #4fb8da);
    --on-accent: light-dark(#fff, #06222c); --bad: light-dark(#b3261e, #ff8a80); background: var(--ground); color: var(--ink);
  }
  * { box-sizing: border-box; }
  body { margin: 0; }
  main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem; }
  h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
  .about { color: var(--muted); margin: 0.3rem 0 1.2rem; }
  form, figure { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 1.2rem; margin: 0 0 1rem; }
  fieldset { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1rem; border: 0; margin: 0 0 1.2rem; padding: 0; min-width: 0; }
  fieldset:disabled { opacity: 0.55; }
  label { display: block; min-width: 0; }
  label.file { grid-column: span 2; }
  label span { display: block; font-size: 0.85rem; color: var(--muted); margin-bottom: 0.25rem; }
  input { font: inherit; color: inherit; width: 100%; padding: 0.4rem 0.6rem; background: var(--ground); border: 1px solid var(--line); border-radius: 6px; }
  input[type="file"] { padding: 0.32rem; font-size: 0.9rem; }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
  .actions { display: flex; flex-wrap: wrap; gap: 0.6rem; align-items: center; }
  button, .download { display: inline-block; font: inherit; font-weight: 600; padding: 0.45rem 1.4rem; border: 1px solid var(--accent); border-radius: 6px; cursor: pointer; text-decoration: none; }
  button { background: transparent; color: var(--accent); }
  button[type="submit"], .download { background: var(--accent); color: var(--on-accent); }
  button:disabled { background: transparent; border-color: var(--line); color: var(--muted); cursor: not-allowed; opacity: 0.7; }
  progress { width: 100%; height: 0.5rem; margin: 1.2rem 0 0; accent-color: var(--accent); }
  output { display: block; margin-top: 0.5rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
  output[data-state="failed"] { color: var(--bad); }
  figure { display: grid; grid-template-columns: auto 1fr; column-gap: 0.7rem; }
  figcaption { grid-column: 1 / -1; font-weight: 600; margin-bottom: 0.6rem; }
  .scale { font-size: 0.85rem; color: var(--muted); font-variant-numeric: tabular-nums; display: flex; justify-content: space-between; }
  .losses { flex-direction: column; text-align: right; min-width: 3.5rem; line-height: 1; }
  .steps { grid-column: 2; margin-top: 0.4rem; }
  svg { width: 100%; height: 16rem; overflow: visible; border-left: 1px solid var(--line); border-bottom: 1px solid var(--line); }
  svg path { fill: none; vector-effect: non-scaling-stroke; }
  .grid { stroke: var(--line); stroke-dasharray: 2 4; }
  .line { stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
  .last { stroke: var(--accent); stroke-width: 8; stroke-linecap: round; }
  @media (max-width: 40rem) { fieldset { grid-template-columns: repeat(2, 1fr); } svg { height: 11rem; } }
`;

/** The page of a standalone trainer. */
export function pageText(name: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${name.replace(/[<&]/g, '')}: trainer</title>
<link rel="icon" href="data:,">
<style>${PAGE_STYLE}</style>
<main><p>Opening the trainer…</p></main>
<script>
  if (location.protocol === 'file:') document.querySelector('main').textContent = 'Browsers open this page from a server alone: run "npx serve" in its folder, and open the address it prints.';
</script>
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
  /** What kernels are written in, for people. */
  readonly language: string;
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
${run}
node trainer.js --help
\`\`\`

${
  f.standalone
    ? 'This runs at once where it was made: `node_modules/webgpu` says where the package is there. Elsewhere, `npm install` gets it.\nTo check its types elsewhere (`npm run types`)'
    : 'This runs at once where it was made: `ebb/`, and `node_modules/ebb` like it, say where Ebb is there. Elsewhere'
}, install Ebb from its tarball, \`npm install /path/to/ebb-${f.ebb}.tgz\`, which \`npm pack\` makes in
Ebb's folder. No registry has to have it.

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

- \`model.ts\`, \`model.js\`: what was compiled: units, bounds, inputs and parameters, with their types.
- \`trainer.ts\`, \`trainer.js\`: the program: the loop over the steps, and the command line. To change it, edit
  \`trainer.js\`; or \`trainer.ts\`, which Node 22.18 and newer run as it is${f.standalone ? ' where Ebb is installed' : ''} (\`node trainer.ts\`), and which
  \`npm install && npm run types\` checks.
- \`plan.json\`: functions by form, calls, values and where they live: what the runtime links a drop pattern with. Format: docs/plan.md of Ebb.
- \`kernels/\`: ${f.language}, each headed by what it computes, where that comes from, its cost, its parameters and its buffers.
- \`ir/\`: the model at every stage of the compiler; \`ebb inspect ir/1-trace.ebb\` reads it back.
- \`ebb/\`: a few lines that say where Ebb is on the machine that made this folder.
${f.standalone ? '- `node.js`: the runtime and the command line, bundled; `index.html`: the page.\n' : ''}`;
}
