/** @file Event files of TensorBoard: TFRecords of `Event` messages with scalars. Bytes alone; whoever has a file appends them. */

import { at } from '../errors.ts';

/** What TensorBoard reads: an event with one of these. */
export type EventContent =
  | { readonly kind: 'version' }
  /** From here on a run goes on at the event's step: TensorBoard forgets what it was told of this step and later ones. */
  | { readonly kind: 'start' }
  | { readonly kind: 'scalars'; readonly values: Readonly<Record<string, number>> };

export interface TensorBoardEvent {
  /** Seconds since 1970. */
  readonly time: number;
  readonly step: number;
  readonly content: EventContent;
}

/** The beginning of the names by which TensorBoard knows its files. */
export const EVENT_FILE = 'events.out.tfevents.';

/** CRC-32C, of which zlib has none: its polynomial is another. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(bytes: Uint8Array): number {
  const crc = bytes.reduce((sum, byte) => at(CRC_TABLE, (sum ^ byte) & 0xff) ^ (sum >>> 8), 0xffffffff);
  return (crc ^ 0xffffffff) >>> 0;
}

/** A checksum as TFRecord stores it: turned by 15 bits, so that a sum over data with sums in it is none of theirs. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

const little = (size: number, fill: (view: DataView) => void): Uint8Array => {
  const bytes = new Uint8Array(size);
  fill(new DataView(bytes.buffer));
  return bytes;
};
const joined = (parts: readonly Uint8Array[]): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
};

/** Wire types of protocol buffers. */
const WIRE = { varint: 0, eight: 1, bytes: 2, four: 5 } as const;

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.from([...bytes, rest]);
}
const field = (number: number, wire: number, value: Uint8Array): Uint8Array => joined([varint(number * 8 + wire), value]);
const double = (number: number, value: number): Uint8Array =>
  field(
    number,
    WIRE.eight,
    little(8, (view) => view.setFloat64(0, value, true)),
  );
const float = (number: number, value: number): Uint8Array =>
  field(
    number,
    WIRE.four,
    little(4, (view) => view.setFloat32(0, value, true)),
  );
const whole = (number: number, value: number): Uint8Array => field(number, WIRE.varint, varint(value));
const bytes = (number: number, value: Uint8Array): Uint8Array => field(number, WIRE.bytes, joined([varint(value.length), value]));
const text = (number: number, value: string): Uint8Array => bytes(number, new TextEncoder().encode(value));

/** Numbers of the fields in event.proto and summary.proto of TensorFlow. */
const EVENT = { time: 1, step: 2, version: 3, summary: 5, session: 7 } as const;
const SUMMARY_VALUE = 1;
const VALUE = { tag: 1, simple: 2 } as const;
const SESSION = { status: 1, start: 1 } as const;

function contentOf(content: EventContent): Uint8Array {
  switch (content.kind) {
    case 'version':
      return text(EVENT.version, 'brain.Event:2');
    case 'start':
      return bytes(EVENT.session, whole(SESSION.status, SESSION.start));
    case 'scalars': {
      const values = Object.entries(content.values).map(([tag, value]) => bytes(SUMMARY_VALUE, joined([text(VALUE.tag, tag), float(VALUE.simple, value)])));
      return bytes(EVENT.summary, joined(values));
    }
  }
}

/** The bytes of an event, to be appended to a file whose first event says its version. */
export function eventBytes({ time, step, content }: TensorBoardEvent): Uint8Array {
  const data = joined([double(EVENT.time, time), whole(EVENT.step, step), contentOf(content)]);
  const length = little(8, (view) => view.setBigUint64(0, BigInt(data.length), true));
  const sum = (of: Uint8Array): Uint8Array => little(4, (view) => view.setUint32(0, masked(of), true));
  return joined([length, sum(length), data, sum(data)]);
}
