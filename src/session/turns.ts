/** @file Work that is done one at a time, and work that is done once. */

/** Makes the function that gives a stream its turn: its work begins when all streams before it have ended, and goes on whether or not they are read. */
export function oneAtATime(): <T>(make: () => AsyncGenerator<T>) => AsyncGenerator<T> {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(make: () => AsyncGenerator<T>) =>
    inTurn(make, (work) => {
      last = last.then(work, work);
    });
}

/** A stream whose work begins at its turn. What is made waits to be read, so that a stream that nobody reads on keeps no other waiting. */
async function* inTurn<T>(make: () => AsyncGenerator<T>, enqueue: (work: () => Promise<void>) => void): AsyncGenerator<T> {
  const made: T[] = [];
  let isDone = false;
  let isLeft = false;
  let failure: { readonly error: unknown } | null = null;
  let wake: () => void = () => {};
  enqueue(async () => {
    try {
      if (!isLeft)
        for await (const value of make()) {
          made.push(value);
          wake();
          if (isLeft) break;
        }
    } catch (error) {
      failure = { error };
    }
    isDone = true;
    wake();
  });
  try {
    for (let read = 0; ; ) {
      while (read < made.length) yield made[read++] as T;
      if (isDone && read === made.length) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (isDone || read < made.length) resolve();
      });
    }
    throwFailure(failure);
  } finally {
    isLeft = true;
  }
}

function throwFailure(failure: { readonly error: unknown } | null): void {
  if (failure) throw failure.error;
}

/** Makes a function that does its work at the first call, and again where that failed. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | null = null;
  return () => {
    done ??= work().catch((error: unknown) => {
      done = null;
      throw error;
    });
    return done;
  };
}
