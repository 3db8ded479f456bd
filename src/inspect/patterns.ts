/** @file Patterns as a person names them: `none`, or units between commas, each dropped unless it says `=remat` or `=skipped`. */

import { EbbError } from '../errors.ts';
import type { Form, Pattern } from '../runtime/link/forms.ts';

/** @throws EbbError naming the first of `named` that is no unit, and units there are */
export function checkUnits(named: readonly string[], units: readonly string[], option: string): void {
  const unknown = named.find((u) => !units.includes(u));
  if (unknown === undefined) return;
  const some = units.length > 16 ? `${units.slice(0, 4).join(', ')}, … (${units.length} units)` : units.join(', ') || 'no units';
  throw new EbbError(`${option}: unknown unit ${unknown}; the model has ${some}`);
}

/** A pattern of dropped units, units whose forward runs again, and units without a forward too; a unit named twice is as the last of these. */
export function patternOf(dropped: readonly string[], remat: readonly string[] = [], skipped: readonly string[] = []): Pattern {
  const all = [
    ['remat', remat],
    ['dropped', dropped],
    ['skipped', skipped],
  ] as const;
  return new Map(all.flatMap(([form, units]) => units.map((u): [string, Form] => [u, form])));
}

const FORMS: readonly Form[] = ['full', 'remat', 'dropped', 'skipped'];

/** Reads `none`, `layers.3.mlp,layers.2.attn=remat`. @throws EbbError for an unknown unit or form */
export function parsePattern(text: string, units: readonly string[], option: string): Pattern {
  const pattern = new Map<string, Form>();
  for (const item of text.split(',').map((s) => s.trim())) {
    if (item === 'none') continue;
    if (item === '')
      throw new EbbError(
        `${option}: ${text.trim() === '' ? 'names no unit' : 'has an empty name between commas'}; units are written between commas, and none for no unit`,
      );
    const [unit = '', name = 'dropped'] = item.split('=');
    checkUnits([unit], units, option);
    const form = FORMS.find((f) => f === name);
    if (form === undefined) throw new EbbError(`${option}: ${unit} has no form ${name}; there are ${FORMS.join(', ')}`);
    pattern.set(unit, form);
  }
  return pattern;
}
