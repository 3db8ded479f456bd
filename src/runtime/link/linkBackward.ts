/** @file Links backwards: what they read is found where forward left it, gradients go to their parameters and cotangents down. */

import { at, invariant } from '../../errors.ts';
import type { ArgumentDecl, BackwardDecl, FunctionDecl, SourceDecl } from '../program.ts';
import { type Address, address, BUFFERS } from './address.ts';
import { contribute, type Descent, drop, fillCotangents } from './descent.ts';
import { type CallForm, functionOf } from './forms.ts';
import { slotBytes } from './layout.ts';
import { runForwardOf } from './linkForward.ts';
import { argumentPlace, bytesOf, type Linking, layoutPlace, type SavedCall } from './linking.ts';

/** Parameters, or rows of them, that a call is handed. */
type ParamArgument = Pick<Extract<ArgumentDecl, { kind: 'param' }>, 'param' | 'offset'>;

/** A cotangent that a backward makes: of which value, and where in the slots buffer it lies. */
interface MadeCotangent {
  readonly value: number;
  readonly offset: number;
}

/** Where the results of a backward lie, and what that does to gradients. */
interface BackwardResults {
  /** Parameters whose gradients are to be zeroed before the step. */
  readonly zeroed: readonly number[];
  readonly made: readonly MadeCotangent[];
  /** Values whose cotangents were overwritten by what was made of them. */
  readonly overwritten: ReadonlySet<number>;
  /** Where the scratch of the call ends on the stack. */
  readonly end: number;
}

/** Links the forward of call `i` once more, right below its backward. Returns what it saves. */
function linkAgain(linking: Linking, i: number, form: BackwardDecl): SavedCall {
  const { call } = at(linking.forms, i);
  const { layouts } = linking.whole;
  const layout = layouts.layout(call.forward, layouts.kept(call, form));
  const base = linking.top;
  const kept = base + layout.savedBytes;
  const results: Address[] = [];
  let frame = kept;
  for (const value of call.results) {
    results.push(address(BUFFERS.stack, frame));
    frame += bytesOf(linking, value);
  }
  runForwardOf(linking, i, { phase: 'again', layout, base, frame, results, kept });
  linking.top = kept;
  return { base, layout };
}

/** The address of a result that the forward of a call saved: on the stack, or, where it is an argument or a result of the call, there. */
function savedPlace(linking: Linking, { call }: CallForm, index: number, { base, layout }: SavedCall): Address {
  const forward = functionOf(linking.whole.program, call.forward);
  const { slot } = at(
    forward.results.filter((r) => r.role === 'save'),
    index,
  );
  const kept = at(layout.saved, slot);
  if (kept >= 0) return address(BUFFERS.stack, base + kept);
  const argument = forward.params.findIndex((p) => p.slot === slot);
  if (argument >= 0) return argumentPlace(linking, call, argument);
  const result = forward.results.filter((r) => r.role === 'value').findIndex((r) => r.slot === slot);
  invariant(result >= 0, `${call.site} saves a value that is neither kept nor handed on`);
  return at(linking.places, at(call.results, result));
}

/** The address of what a parameter of a backward is handed. */
function sourcePlace(linking: Linking, form: CallForm, { from, index }: SourceDecl, saved: SavedCall, { cotangents }: Descent): Address {
  if (from === 'argument') return argumentPlace(linking, form.call, index);
  if (from === 'save') return savedPlace(linking, form, index, saved);
  const offset = cotangents.get(at(form.call.results, index));
  invariant(offset !== undefined, `no cotangent arrives at result ${index} of ${form.call.site}`);
  return address(BUFFERS.slots, offset);
}

/** Places what a backward reads into `slots`. The seed and other scalars lie in no buffer. */
function placeParams(linking: Linking, form: CallForm, decl: BackwardDecl, saved: SavedCall, descent: Descent, slots: Address[]): void {
  const { params } = functionOf(linking.whole.program, decl.function);
  params.forEach(({ role, slot }, k) => {
    const source = decl.sources[k];
    if (source && source.from !== 'seed' && role !== 'scalar') slots[slot] = sourcePlace(linking, form, source, saved, descent);
  });
}

const gradientPlace = ({ gradientAt }: Descent, { param, offset = 0 }: ParamArgument): Address => gradientAt(param) + offset;

/** Whether a gradient was written before. Parts of a parameter are all written before it is used as a whole again. */
function isWritten(descent: Descent, argument: ParamArgument): boolean {
  const { wholes, touched, parts } = descent;
  if (wholes.has(argument.param)) return true;
  return argument.offset === undefined ? touched.has(argument.param) : parts.has(gradientPlace(descent, argument));
}

/** Whether the gradients of a backward's weights are added to: one of them was written before. */
function addsTo({ call, wants }: CallForm, { gradientOf }: BackwardDecl, descent: Descent): boolean {
  return gradientOf.some((index) => {
    const argument = at(call.arguments, index);
    return argument.kind === 'param' && at(wants, index) && isWritten(descent, argument);
  });
}

/** Whether a function adds rows to a result, which has to be zero before. */
const scatters = ({ dispatches }: FunctionDecl, slot: number): boolean => dispatches.some((d) => d.clears === slot);

/** Places the results of a backward into `slots`. @param frameEnd where its scratch ends on the stack */
function placeResults(linking: Linking, form: CallForm, decl: BackwardDecl, descent: Descent, slots: Address[], frameEnd: number): BackwardResults {
  const { program, sizes } = linking.whole;
  const { call, wants } = form;
  const fn = functionOf(program, decl.function);
  const adds = addsTo(form, decl, descent);
  const zeroed: number[] = [];
  const made: MadeCotangent[] = [];
  const overwritten = new Set<number>();
  let end = frameEnd;
  fn.results.forEach(({ slot }, k) => {
    const index = at(decl.gradientOf, k);
    const argument = at(call.arguments, index);
    const over = fn.inplace[k] ?? null;
    if (!at(wants, index)) {
      // Nobody reads it: it is written above the frame, or over what it takes the place of.
      if (over !== null) return;
      slots[slot] = address(BUFFERS.stack, end);
      end += slotBytes(fn, slot, sizes);
    } else if (argument.kind === 'param') {
      slots[slot] = gradientPlace(descent, argument);
      if ((adds || scatters(fn, slot)) && !isWritten(descent, argument)) zeroed.push(argument.param);
      descent.touched.add(argument.param);
      if (argument.offset === undefined) descent.wholes.add(argument.param);
      else descent.parts.add(gradientPlace(descent, argument));
    } else if (argument.kind === 'value') {
      const source = over === null ? null : at(decl.sources, over);
      if (source?.from === 'cotangent') {
        const value = at(call.results, source.index);
        const offset = descent.cotangents.get(value);
        invariant(offset !== undefined, `no cotangent arrives at result ${source.index} of ${call.site}`);
        overwritten.add(value);
        made.push({ value: argument.value, offset });
      } else {
        const offset = linking.slots.take(bytesOf(linking, argument.value));
        slots[slot] = address(BUFFERS.slots, offset);
        made.push({ value: argument.value, offset });
      }
    }
  });
  return { zeroed, made, overwritten, end };
}

/** Links the backward of call `i` in the form `decl`. Returns the cotangents that it makes. */
function linkForm(linking: Linking, i: number, decl: BackwardDecl, saved: SavedCall, descent: Descent): readonly MadeCotangent[] {
  const { whole, calls, top, slots: pool } = linking;
  const form = at(linking.forms, i);
  const layout = whole.layouts.layout(decl.function, whole.layouts.kept(form.call, null));
  const slots = functionOf(whole.program, decl.function).slots.map((_, slot) => layoutPlace(layout, slot, top, top));
  placeParams(linking, form, decl, saved, descent, slots);
  const adds = addsTo(form, decl, descent);
  const { zeroed, made, overwritten, end } = placeResults(linking, form, decl, descent, slots, top + layout.frameBytes);
  linking.peak = Math.max(linking.peak, end);
  const footprint = { kept: top, frame: end - top, slots: pool.used() };
  calls.push({ fn: decl.function, call: i, phase: 'backward', slots, adds, zeroed, rows: 0, footprint });
  for (const value of form.call.results) {
    const offset = descent.cotangents.get(value);
    if (offset !== undefined && !overwritten.has(value)) pool.give(offset);
    descent.cotangents.delete(value);
  }
  return made;
}

/** Links the backward of call `i` in its form; calls come in reverse. */
export function linkBackward(linking: Linking, i: number, descent: Descent): void {
  const { backward, remat, skipped } = at(linking.forms, i);
  const mark = at(linking.marks, i);
  if (skipped) {
    // Its result's cotangent is its residual's.
    if (descent.pops) linking.top = mark;
    return;
  }
  if (!backward) {
    drop(linking, i, descent);
    return;
  }
  const before = linking.top;
  const saved = remat ? linkAgain(linking, i, backward) : at(linking.saves, i);
  fillCotangents(linking, i, backward, descent);
  for (const { value, offset } of linkForm(linking, i, backward, saved, descent)) contribute(linking, descent, value, offset);
  linking.top = descent.pops ? mark : before;
}
