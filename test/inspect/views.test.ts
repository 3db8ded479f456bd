/** @file Stages, functions, calls and diffs of the bundled model as text, plain and coloured. */

import { highlight, highlightDiff } from '../../src/inspect/colour.ts';
import { unifiedDiff } from '../../src/inspect/diff.ts';
import { patternOf } from '../../src/inspect/patterns.ts';
import { inspectionLinker, type VariantReport } from '../../src/inspect/report.ts';
import { type Inspected, IR_STAGES, inspect, kernelTexts, stageText } from '../../src/inspect/stages.ts';
import { irTokens, wgslTokens } from '../../src/inspect/tokens.ts';
import { diffSides, dumpText, patternDiff, patternView } from '../../src/inspect/views.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { trainingMode } from '../../src/models/inputs.ts';
import { traceCheckpoint } from '../../src/session/session.ts';
import { captureLocations } from '../../src/trace/location.ts';
import { TINY_MODEL } from '../support/cli.ts';
import { CPU_DEVICE } from '../support/tinyModels.ts';

const SIZES = { B: 1, T: 256 };
const PLAIN = { locs: false };
const options = { sizes: SIZES, cost: false, scope: {} };
let tiny: Inspected;
beforeAll(() => {
  captureLocations(true);
  const traced = traceCheckpoint(openCheckpoint(TINY_MODEL), { mode: trainingMode(256), dims: SIZES, lora: null, trains: 'full' });
  captureLocations(false);
  tiny = inspect(traced, CPU_DEVICE);
});

const functionsOf = (text: string): string[] => [...text.matchAll(/^func @([\w.]+)/gm)].map((m) => m[1]!);

describe('--function', () => {
  it.each([
    ['trace', ['mlp']],
    ['grad', ['mlp.grad']],
    ['dropbp', ['mlp.fwd', 'mlp.bwd']],
    ['fuse', ['mlp.fwd', 'mlp.bwd']],
  ] as const)('restricts %s to a function and its forms', (stage, names) => {
    expect(functionsOf(stageText(tiny, stage, PLAIN, { function: 'mlp' }))).toEqual(names);
  });

  it('takes one form, and no function whose name only begins alike', () => {
    expect(functionsOf(stageText(tiny, 'fuse', PLAIN, { function: 'mlp.bwd' }))).toEqual(['mlp.bwd']);
    expect(() => stageText(tiny, 'trace', PLAIN, { function: 'ml' })).toThrow(
      /^--function: no function @ml here; there are @embed, @attn, @mlp, @head, @main$/,
    );
  });

  it('restricts kernels to those that the function dispatches', () => {
    const { program } = tiny.compiled;
    const fn = program.functions.find((f) => f.name === 'mlp.fwd')!;
    expect(kernelTexts(tiny, 'wgsl', { function: 'mlp.fwd' })).toEqual(fn.dispatches.map((d) => program.pipelines[d.pipeline]!.code));
    expect(kernelTexts(tiny, 'kernel', { function: 'mlp.fwd' })).toHaveLength(fn.dispatches.length);
    expect(kernelTexts(tiny, 'kernel').length).toBeGreaterThan(program.pipelines.length - 1);
  });
});

describe('--unit', () => {
  it('names weights as the checkpoint does and values after the call', () => {
    expect(stageText(tiny, 'trace', PLAIN, { unit: 'layers.3.mlp' })).toMatchSnapshot();
  });

  it.each(IR_STAGES)('makes of stage %s a dump that is read back unchanged', (stage) => {
    for (const unit of ['layers.3.attn', 'head']) {
      const text = stageText(tiny, stage, { locs: true }, { unit });
      expect(dumpText(text, 'unit.ebb')).toBe(text);
    }
  });

  it('names the operands of a backward: cotangents, saved values, weights', () => {
    const text = stageText(tiny, 'dropbp', PLAIN, { unit: 'layers.3.mlp', function: 'mlp.bwd' });
    const head = /^func .*$/m.exec(text)?.[0];
    expect(head).toMatch(
      /%layers\[3\]\.attn\.\w+: f32.* weight %model\.layers\.3\.mlp\.gate_proj\.weight: .*cotangent %layers\[3\]\.mlp\.d_\w+: .*saved %layers\[3\]\.mlp\./,
    );
    expect(head).toMatch(/scalar %branch_weight/);
  });

  it('lists all calls when none has that name', () => {
    expect(() => stageText(tiny, 'trace', PLAIN, { unit: 'layers.9.mlp' })).toThrow(
      /^--unit: no unit or piece of trunk layers\.9\.mlp; there are embed, layers\.0\.attn, .*, head$/,
    );
  });
});

describe('--diff', () => {
  it('tells stages, patterns and dumps apart', () => {
    const kind = (a: string, b: string): string => diffSides([a, b]).kind;
    expect([kind('fuse', 'grad'), kind('none', 'layers.3.mlp'), kind('a.ebb', 'old/b.ebb'), kind('fuse', 'a.ebb')]).toEqual([
      'stages',
      'patterns',
      'dumps',
      'mixed',
    ]);
    expect(() => diffSides(['none', 'a.ebb'])).toThrow('diff: none is neither a stage');
    expect(() => diffSides(['none'])).toThrow('two .ebb files, found 1');
  });

  it('of two stages is a unified diff', () => {
    const [a, b] = (['trace', 'dropbp'] as const).map((stage) => ({ name: stage, text: stageText(tiny, stage, PLAIN, { function: 'embed' }) }));
    expect(unifiedDiff(a!, b!)).toMatchSnapshot();
    expect(unifiedDiff(a!, { ...a!, name: 'again' })).toBe('trace and again are the same\n');
  });

  it('of two patterns shows the calls and the costs that the second leaves out', () => {
    const view = patternDiff(tiny, 'none', 'layers.3.mlp', options);
    expect(view.text).toMatchSnapshot();
    const { a, b, removed } = view.json as { a: VariantReport; b: VariantReport; removed: VariantReport };
    const gone = a.calls.filter((c) => c.site === 'layers.3.mlp' && c.phase === 'backward');
    expect(removed.backwardFlops).toBe(gone.reduce((sum, c) => sum + c.flops, 0));
    expect(removed.dispatches).toBe(gone.reduce((sum, c) => sum + c.dispatches, 0));
    expect(removed.savedBytes).toBe(a.savedBytes - b.savedBytes);
  });

  it('knows units that run their forward again', () => {
    const { text, json } = patternDiff(tiny, 'none', 'layers.3.mlp=remat', options);
    expect(text).toMatch(/^\+ {2}call @mlp\.fwd \[layers\.3\.mlp\] \{phase = "again"/m);
    expect((json as { removed: VariantReport }).removed).toMatchObject({ forwardFlops: 0 });
  });

  it('knows units that are left out of forward too', () => {
    const { text, json } = patternDiff(tiny, 'layers.3.mlp', 'layers.3.mlp=skipped', options);
    expect(text).toMatch(/^-variant of @train \{drop = \[layers\.3\.mlp\], frontier/m);
    expect(text).toMatch(/^\+variant of @train \{drop = \[\], skip = \[layers\.3\.mlp\], frontier/m);
    expect(text).toMatch(/^- {2}call @mlp\.fwd \[layers\.3\.mlp\]/m);
    const { a, b } = json as { a: VariantReport; b: VariantReport };
    expect(b).toMatchObject({ dropped: [], skipped: ['layers.3.mlp'], backwardFlops: a.backwardFlops });
    expect(b.forwardFlops).toBeLessThan(a.forwardFlops);
  });

  it.each([
    ['layers.3.mpl', /^diff: unknown unit layers\.3\.mpl; the model has layers\.0\.attn, .*layers\.5\.mlp$/],
    ['layers.3.mlp=droped', /^diff: layers\.3\.mlp has no form droped; there are full, remat, dropped, skipped$/],
  ])('refuses %s in one sentence', (side, message) => {
    expect(() => patternDiff(tiny, 'none', side, options)).toThrow(message);
  });
});

describe('a pattern', () => {
  it('counts only the call that it is restricted to', () => {
    const { json, text } = patternView(tiny, patternOf(['layers.3.mlp']), ['layers.3.mlp'], { ...options, scope: { unit: 'layers.3.mlp' } });
    const { pattern, nothingDropped } = json as { pattern: VariantReport; nothingDropped: VariantReport };
    expect(pattern).toMatchObject({ backwardFlops: 0 });
    expect(pattern.forwardFlops).toBe(nothingDropped.forwardFlops);
    expect(text.match(/ call /g)).toHaveLength(1);
  });

  it('has the peak that the memory of its calls reaches', () => {
    const linker = inspectionLinker(tiny.compiled.program);
    for (const pattern of [patternOf([]), patternOf(['layers.0.attn'], ['layers.4.attn', 'layers.2.mlp']), patternOf(tiny.traced.units)]) {
      const { calls, stackBytes, slotBytes, savedBytes } = linker.link(pattern);
      expect(Math.max(...calls.map(({ footprint }) => footprint.kept + footprint.frame))).toBe(stackBytes);
      expect(Math.max(...calls.filter((c) => c.phase === 'forward').map((c) => c.footprint.kept))).toBe(savedBytes);
      for (const { footprint } of calls) expect(footprint.slots).toBeLessThanOrEqual(slotBytes);
    }
  });
});

describe('colours', () => {
  it('leave the text as it is', () => {
    const plain = (text: string): string => text.replace(/\x1b\[\d+m/g, '');
    for (const stage of IR_STAGES) {
      const text = stageText(tiny, stage, { locs: true, costs: SIZES });
      expect(
        irTokens(text)
          .map((t) => t.text)
          .join(''),
      ).toBe(text);
      expect(plain(highlight(text))).toBe(text);
    }
    const wgsl = kernelTexts(tiny, 'wgsl').join('\n');
    expect(
      wgslTokens(wgsl)
        .map((t) => t.text)
        .join(''),
    ).toBe(wgsl);
    const { text } = patternDiff(tiny, 'none', 'layers.3.mlp', options);
    expect(plain(highlightDiff(text))).toBe(text);
  });

  it('mark each kind of token', () => {
    const lines = '%h = rms_norm %x, %norm {eps = 0.00001} : f32[B,T,12] loc(llama.ts:4:7) // 12 FLOP\n  call @mlp.fwd [layers.0.mlp] {phase = "forward"}\n';
    expect(
      irTokens(lines)
        .filter((t) => t.kind !== 'plain')
        .map((t) => [t.kind, t.text]),
    ).toMatchSnapshot();
    expect(highlightDiff('--- a\n+++ b\n@@ -1,2 +1,2 @@\n-  return %x\n+  return %y\n }\n')).toMatchSnapshot();
  });
});
