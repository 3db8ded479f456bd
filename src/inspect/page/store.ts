/** @file The state of the page: a pattern, the variant it links to, and what is selected. Parts of the page are drawn anew when it changes. */

import { at, invariant } from '../../errors.ts';
import type { Form } from '../../runtime/link/forms.ts';
import type { Linker } from '../../runtime/link/link.ts';
import type { Variant } from '../../runtime/link/linked.ts';
import type { FunctionView, PageData } from '../pageData.ts';
import { patternOf } from '../patterns.ts';
import { inspectionLinker, namedUnits, type VariantReport, variantReport } from '../report.ts';

/** What a pattern links to, and what that costs. */
export interface LinkedPattern {
  readonly variant: Variant;
  readonly report: VariantReport;
  /** Milliseconds that linking took. */
  readonly ms: number;
}

/** What is selected: a call of the model, one of its functions, and a box of that function's graph. Each is an index. */
export interface Selection {
  readonly call: number;
  readonly fn: number;
  readonly node: number | null;
}

/** The state, and the ways to change it. */
export interface Store {
  readonly data: PageData;
  /** Names of the units in the order of the model. */
  readonly units: readonly string[];
  /** The units that are not `full`. */
  readonly pattern: ReadonlyMap<string, Form>;
  readonly linked: LinkedPattern;
  /** With nothing dropped. */
  readonly whole: LinkedPattern;
  readonly selection: Selection;
  /** Sets the forms of units. Units that are not named become `full`; of a unit that is named twice, the last form counts. */
  setPattern(forms: Iterable<readonly [string, Form]>): void;
  /** Changes the selection. No box stays selected unless `selection` names one. */
  select(selection: Partial<Selection>): void;
  /** Calls `draw` now and whenever the pattern changes; with `selections`, also when the selection changes. */
  draw(draw: () => void, selections?: boolean): void;
}

function link(data: PageData, linker: Linker, pattern: ReadonlyMap<string, Form>): LinkedPattern {
  const started = performance.now();
  const variant = linker.link(pattern);
  const ms = performance.now() - started;
  return { variant, report: variantReport(data.program, variant, namedUnits(data.program, pattern), data.sizes), ms };
}

/** The functions of a call: its forward, then its backwards. */
export function functionsOf({ program }: PageData, call: number): readonly [forward: number, ...backwards: number[]] {
  const { forward, backwards } = at(program.calls, call);
  return [forward, ...new Set(backwards.map((b) => b.function))];
}

/** The graph of a function that some call runs. */
export function viewOf({ functions }: PageData, fn: number): FunctionView {
  const view = at(functions, fn);
  invariant(view, `function ${fn} has no graph, because no call runs it`);
  return view;
}

/** Creates the store. At first nothing is dropped, and the first unit is selected. */
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
  let selection: Selection = { call: first, fn: at(data.program.calls, first).forward, node: null };
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
