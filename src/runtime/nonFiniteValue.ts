/** @file A value of a program that is NaN or infinite: what it is, which function of the model made it, and how a person is told. */

/** The first value that is not finite, where a micro-batch is run function by function. */
export interface NonFiniteValue {
  /** What holds it: an input or a weight that is given, or what a function makes. */
  readonly kind: 'input' | 'weight' | 'result' | 'gradient';
  /** The name of the input, of the weight, or of the value (or what it is the gradient of). */
  readonly name: string;
  /** The element with its place: `NaN at [0, 3]`. */
  readonly element: string;
  /** What made it; null for what is given. */
  readonly made: {
    /** The call: a unit or a piece of the trunk, by its name. */
    readonly site: string;
    readonly direction: 'forward' | 'backward';
    /** The first value within the function that is not finite, with the line where the model's definition asks for it. */
    readonly first: { readonly name: string; readonly element: string; readonly loc: string | null } | null;
  } | null;
}

/** Says what is not finite and where, as a part of a sentence. */
export function nonFiniteText({ kind, name, element, made }: NonFiniteValue): string {
  if (!made) return `${kind} ${name} holds ${element}`;
  const { site, direction, first } = made;
  const what = kind === 'gradient' ? `its gradient of ${name}` : `its result ${name}`;
  const place = first?.loc ? ` at ${first.loc}` : '';
  const within = first && first.name !== name ? `, and within it ${first.name}${place} is the first (${first.element})` : place;
  return `the first function whose output is not finite is ${site}, in its ${direction}: ${what} holds ${element}${within}`;
}
