/** @file A kind of schedule, described by its fields: the type of its schedules, what makes them, their text and the checks of files all derive from it. */

import type { MatrixShape } from '../../../runtime/matrices.ts';

/** A whole number of 1 or more. `text` has a `#` where it stands. A number that is `usual` is left out of texts, and need not be given. */
interface Count {
  readonly holds: 'count';
  readonly text: string;
  readonly usual?: number;
}
/** Whether something is so; its text stands there, or does not. */
interface Flag {
  readonly holds: 'flag';
  readonly text: string;
}
/** Two whole numbers of 1 or more, along n and along m; `text` has a `#` where they stand. */
interface Pair {
  readonly holds: 'pair';
  readonly text: string;
}
/** Matrices that subgroups multiply at once; `text` has a `#` where they stand. */
interface Matrix {
  readonly holds: 'matrix';
  readonly text: string;
}
export type ScheduleField = Count | Flag | Pair | Matrix;
export type ScheduleFields = Readonly<Record<string, ScheduleField>>;

/** Texts of the fields of a kind must differ in more than the value that `#` stands for. */
export interface ScheduleKind<K extends string = string, F extends ScheduleFields = ScheduleFields> {
  readonly kind: K;
  readonly fields: F;
}

type FieldValue<F extends ScheduleField> = F extends Count ? number : F extends Flag ? boolean : F extends Pair ? readonly [number, number] : MatrixShape;
type Omissible<F extends ScheduleFields> = { [N in keyof F]: F[N] extends Flag | { readonly usual: number } ? N : never }[keyof F];

/** The schedules of a kind. */
export type ScheduleOf<D> = D extends ScheduleKind<infer K, infer F> ? { readonly kind: K } & { readonly [N in keyof F]: FieldValue<F[N]> } : never;

/** What a schedule is made of: flags are false and numbers usual where nothing is said. */
type GivenValues<F extends ScheduleFields> = { readonly [N in Exclude<keyof F, Omissible<F>>]: FieldValue<F[N]> } & {
  readonly [N in Omissible<F>]?: FieldValue<F[N]>;
};

/** The value of a field that is not given; undefined where it has to be. */
export function omitted(field: ScheduleField): false | number | undefined {
  return field.holds === 'flag' ? false : field.holds === 'count' ? field.usual : undefined;
}

/** What makes the schedules of a kind. */
export function scheduleMaker<K extends string, F extends ScheduleFields>({
  kind,
  fields,
}: ScheduleKind<K, F>): (given: GivenValues<F>) => ScheduleOf<ScheduleKind<K, F>> {
  return (given) => {
    const values: Readonly<Record<string, unknown>> = given;
    const entries = Object.entries(fields).map(([name, field]) => [name, values[name] ?? omitted(field)]);
    // Object.fromEntries cannot say what the fields' types say.
    return { kind, ...Object.fromEntries(entries) } as ScheduleOf<ScheduleKind<K, F>>;
  };
}
