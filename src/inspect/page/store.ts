/** @file The state of the page: a pattern, the variant it links to, and what is looked at. Parts redraw when it changes. */

import type { Form } from '../../runtime/link/forms.ts';
import type { Linker } from '../../runtime/link/link.ts';
import type { Variant } from '../../runtime/link/linked.ts';
import type { PageData } from '../pageData.ts';
import { patternOf } from '../patterns.ts';
import { inspectionLinker, namedUnits, type VariantReport, variantReport } from '../report.ts';

/** A pattern, linked and counted. */
export interface Linked {
  readonly variant: Variant;
  readonly report: VariantReport;
  /** Milliseconds that linking took. */
  readonly ms: number;
}

/** What is looked at: a call of the model, one of its functions, a box of that function's graph. */
export interface Selection {
  readonly call: number;
  readonly fn: number;
  readonly node: number | null;
}

/** The state, and how it is changed. */
export interface Store {
  readonly data: PageData;
  readonly units: readonly string[];
  readonly pattern: ReadonlyMap<string, Form>;
  readonly linked: Linked;
  /** With nothing dropped. */
  readonly whole: Linked;
  readonly selection: Selection;
  setPattern(forms: Iterable<readonly [string, Form]>): void;
  select(selection: Partial<Selection>): void;
  /** Calls `draw` now and whenever the pattern or, with `selections`, the selection changes. */
  draw(draw: () => void, selections?: boolean): void;
}

function link(data: PageData, linker: Linker, pattern: ReadonlyMap<string, Form>): Linked {
  const started = performance.now();
  const variant = linker.link(pattern);
  const ms = performance.now() - started;
  return { variant, report: variantReport(data.program, variant, namedUnits(data.program, pattern), data.sizes), ms };
}

/** The backward function of a call that `variant` runs, else its first. */
export function functionsAt(data: PageData, call: number): readonly number[] {
  const decl = data.program.calls[call];
  return decl ? [decl.forward, ...new Set(decl.backwards.map((b) => b.function))] : [];
}

/** Makes the store. */
export function createStore(data: PageData): Store {
  const linker = inspectionLinker(data.program);
  const units = data.program.calls.filter((c) => c.unit).map((c) => c.site);
  const onPattern: (() => void)[] = [];
  const onSelection: (() => void)[] = [];
  let pattern: ReadonlyMap<string, Form> = patternOf([]);
  let linked = link(data, linker, pattern);
  const whole = linked;
  const first = Math.max(
    0,
    data.program.calls.findIndex((c) => c.unit),
  );
  let selection: Selection = { call: first, fn: data.program.calls[first]?.forward ?? 0, node: null };
  return {
    data,
    units,
    whole,
    get pattern() {
      return pattern;
    },
    get linked() {
      return linked;
    },
    get selection() {
      return selection;
    },
    setPattern(forms) {
      // the last form of a unit counts
      pattern = new Map([...new Map(forms)].filter(([unit, form]) => units.includes(unit) && form !== 'full'));
      linked = link(data, linker, pattern);
      for (const draw of onPattern) draw();
    },
    select(next) {
      selection = { ...selection, node: null, ...next };
      for (const draw of onSelection) draw();
    },
    draw(draw, selections = false) {
      onPattern.push(draw);
      if (selections) onSelection.push(draw);
      draw();
    },
  };
}
