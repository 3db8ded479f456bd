/** @file Patterns as a person writes them: `none`, or units separated by commas. A unit is dropped unless it says `=remat`, `=skipped` or `=full`. */

import { checkUnits } from '../dropbp/units.ts';
import { EbbError } from '../errors.ts';
import type { Form, Pattern } from '../runtime/link/forms.ts';

/** Makes a pattern of units that are dropped, whose forward runs again (`remat`), or that have no forward either (`skipped`). Of a unit in several lists the last one counts. */
export function patternOf(dropped: readonly string[], remat: readonly string[] = [], skipped: readonly string[] = []): Pattern {
  const all = [
    ['remat', remat],
    ['dropped', dropped],
    ['skipped', skipped],
  ] as const;
  return new Map(all.flatMap(([form, units]) => units.map((u): [string, Form] => [u, form])));
}

const FORMS: readonly Form[] = ['full', 'remat', 'dropped', 'skipped'];

/** Reads a pattern such as `none` or `layers.3.mlp,layers.2.attn=remat`. @param option names the flag, for messages @throws EbbError for an unknown unit or form */
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

export { checkUnits } from '../dropbp/units.ts';
