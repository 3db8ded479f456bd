/** @file Counts what is read of a piece of data, as a measure of work that no other process on the machine changes. */

export interface Counted<T> {
  /** The data, to be handed on in its place. */
  readonly data: T;
  /** Properties and elements that `work` reads of it, inner ones included. */
  readonly reads: (work: () => unknown) => number;
}

export function counted<T extends object>(original: T): Counted<T> {
  let count = 0;
  // There is one stand-in for each object, so that identity stays what it was.
  const standIns = new WeakMap<object, object>();
  const standInFor = (value: object): object => {
    const known = standIns.get(value);
    if (known) return known;
    const made = new Proxy(value, {
      get(target, key, receiver) {
        count++;
        const found: unknown = Reflect.get(target, key, receiver);
        return typeof found === 'object' && found !== null ? standInFor(found) : found;
      },
    });
    standIns.set(value, made);
    return made;
  };
  return {
    data: standInFor(original) as T,
    reads: (work) => {
      const before = count;
      work();
      return count - before;
    },
  };
}
