/** @file Reads the scalars of event files as TensorBoard does, with the checks of its records left out: their bytes are held by a golden. */

/** Points of a scalar: step and value. */
export type Points = readonly (readonly [step: number, value: number])[];

interface Field {
  readonly number: number;
  readonly value: number | Buffer;
}

/** The fields of a message of protocol buffers. */
function fields(message: Buffer): Field[] {
  const found: Field[] = [];
  let offset = 0;
  const varint = (): number => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = message[offset++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (offset < message.length) {
    const key = varint();
    const number = key >> 3;
    const wire = key & 7;
    if (wire === 0) found.push({ number, value: varint() });
    else if (wire === 1) found.push({ number, value: message.readDoubleLE((offset += 8) - 8) });
    else if (wire === 5) found.push({ number, value: message.readFloatLE((offset += 4) - 4) });
    else {
      const length = varint();
      found.push({ number, value: message.subarray(offset, (offset += length)) });
    }
  }
  return found;
}

/** The events of a file; a record that was torn off ends it. */
function records(file: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let offset = 0; offset + 12 <= file.length; ) {
    const length = Number(file.readBigUInt64LE(offset));
    if (offset + 16 + length > file.length) break;
    found.push(file.subarray(offset + 12, offset + 12 + length));
    offset += 16 + length;
  }
  return found;
}

/** The scalars of a run, by tag. @param files in the order of their names */
export function readEvents(files: readonly Buffer[]): Map<string, Points> {
  const scalars = new Map<string, Points>();
  for (const event of files.flatMap(records).map(fields)) {
    const step = event.find(({ number }) => number === 2)!.value as number;
    const started = event.some(({ number }) => number === 7);
    if (started)
      for (const [tag, points] of scalars)
        scalars.set(
          tag,
          points.filter(([of]) => of < step),
        );
    for (const { value } of event.filter(({ number }) => number === 5))
      for (const scalar of fields(value as Buffer).map((inner) => fields(inner.value as Buffer))) {
        const tag = String(scalar.find(({ number }) => number === 1)!.value);
        scalars.set(tag, [...(scalars.get(tag) ?? []), [step, scalar.find(({ number }) => number === 2)!.value as number]]);
      }
  }
  return new Map([...scalars].filter(([, points]) => points.length > 0));
}
