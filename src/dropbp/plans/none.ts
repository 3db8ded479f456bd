/** @file `none`: every unit has its backward in every step. */

import { defineDropPlan } from './dropPlan.ts';

export const none = defineDropPlan({ kind: 'none', fields: {}, create: () => ({ draw: () => ({ dropped: [] }) }) });
