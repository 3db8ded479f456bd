/** @file The keys of a drop plan's configuration as data: each says which values it takes, so that a plan and its keys stand in one file. */

/** A key of a configuration. */
export interface PlanField<T> {
  /** The values it takes, for messages: `a number from 0 to 1`. */
  readonly expected: string;
  readonly accepts: (value: unknown) => value is T;
  /** The same as a JSON Schema, for editors. */
  readonly jsonSchema: Readonly<Record<string, unknown>>;
}
/** A key that may be left out. */
export interface DefaultedField<T> extends PlanField<T> {
  /** Its value where it is left out. */
  readonly fallback: T;
}

export type PlanFields = Readonly<Record<string, PlanField<unknown>>>;

type TypeOf<F> = F extends PlanField<infer T> ? T : never;
type Defaulted<F extends PlanFields> = { [K in keyof F]: F[K] extends DefaultedField<unknown> ? K : never }[keyof F];

/** The value of every field. */
export type Values<F extends PlanFields> = { readonly [K in keyof F]: TypeOf<F[K]> };

/** The values that a person gives: fields with a fallback may be left out. */
export type GivenFields<F extends PlanFields> = Omit<Values<F>, Defaulted<F>> & Partial<Pick<Values<F>, Defaulted<F>>>;

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Makes a field one that may be left out; then its value is `fallback`. */
export const withDefault = <T, D extends T>(field: PlanField<T>, fallback: D): DefaultedField<T> => ({ ...field, fallback });

export const isDefaulted = (field: PlanField<unknown>): field is DefaultedField<unknown> => 'fallback' in field;

/** Takes a number from 0 to 1, both included. */
export const share: PlanField<number> = {
  expected: 'a number from 0 to 1',
  accepts: (v): v is number => isNumber(v) && v >= 0 && v <= 1,
  jsonSchema: { type: 'number', minimum: 0, maximum: 1 },
};

/** Takes a number from 0 to `below`, which is not included. */
export const shareBelow = (below: number): PlanField<number> => ({
  expected: `a number from 0 to below ${below}`,
  accepts: (v): v is number => isNumber(v) && v >= 0 && v < below,
  jsonSchema: { type: 'number', minimum: 0, exclusiveMaximum: below },
});

/** Takes a whole number, 1 or more. */
export const positive: PlanField<number> = {
  expected: 'a whole number, 1 or more',
  accepts: (v): v is number => isNumber(v) && Number.isInteger(v) && v >= 1,
  jsonSchema: { type: 'integer', minimum: 1 },
};

/** Takes true or false. */
export const flag: PlanField<boolean> = { expected: 'true or false', accepts: (v): v is boolean => typeof v === 'boolean', jsonSchema: { type: 'boolean' } };

/** Takes one of `words`. */
export const choice = <T extends string>(words: readonly T[]): PlanField<T> => ({
  expected: words.map((w) => JSON.stringify(w)).join(' or '),
  accepts: (v): v is T => words.some((w) => w === v),
  jsonSchema: { enum: words },
});

/** Takes a record with a number of 0 or more for every unit, by its name. */
export const byUnit: PlanField<Readonly<Record<string, number>>> = {
  expected: 'a number of 0 or more for every unit, by its name',
  accepts: (v): v is Readonly<Record<string, number>> => isObject(v) && Object.values(v).every((x) => isNumber(x) && x >= 0),
  jsonSchema: { type: 'object', additionalProperties: { type: 'number', minimum: 0 } },
};

/** Takes a list of lists of unit names. */
export const unitLists: PlanField<readonly (readonly string[])[]> = {
  expected: 'lists of unit names',
  accepts: (v): v is readonly (readonly string[])[] => Array.isArray(v) && v.every((list) => Array.isArray(list) && list.every((u) => typeof u === 'string')),
  jsonSchema: { type: 'array', items: { type: 'array', items: { type: 'string' } } },
};
