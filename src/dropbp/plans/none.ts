/** @file `none`: every unit gets its backward in every step. */

import { definePlan } from './plan.ts';

export const none = definePlan({ kind: 'none', fields: {}, create: () => ({ draw: () => ({ dropped: [] }) }) });
