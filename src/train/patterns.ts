/** @file A plan's draw as the pattern that is linked. */

import type { Draw } from '../dropbp/plans/index.ts';
import type { Form, Pattern } from '../runtime/link/forms.ts';

/** Forms of the units that a draw names. */
export function drawPattern({ dropped, skipped = [] }: Draw): Pattern {
  return new Map([...dropped.map((u): [string, Form] => [u, 'dropped']), ...skipped.map((u): [string, Form] => [u, 'skipped'])]);
}
