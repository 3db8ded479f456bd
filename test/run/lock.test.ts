/** @file Whose a run folder is: one run's at a time, and nobody's once its process is gone. */

import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Claim, claimFolder, isRunning, openClaimed, withClaim } from '../../src/run/lock.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';

let scratch: string;
let out: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-lock-'));
  out = join(scratch, 'runs', 'mine');
});
afterEach(() => rmSync(scratch, { recursive: true }));

interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly space: string;
  readonly processStart: string;
}
const ownerFile = (): string => join(out, '.owner.json');
/** Makes the folder look as another process left it. @param age of its heartbeat, in seconds */
function leftBy(change: Partial<Owner>, age = 0): void {
  const lock = join(out, '.lock');
  mkdirSync(lock, { recursive: true });
  const own: Owner = JSON.parse(kept) as Owner;
  writeFileSync(ownerFile(), JSON.stringify({ ...own, id: 'other', ...change }));
  const then = Date.now() / 1000 - age;
  utimesSync(lock, then, then);
}
/** What this process writes of itself. */
let kept: string;
beforeEach(async () => {
  const claim = await claimFolder(out);
  kept = readFileSync(ownerFile(), 'utf8');
  claim.release();
});

it('is one run at a time; the folder that was made for it goes where nothing is in it, with those that it lies in', async () => {
  expect(existsSync(join(scratch, 'runs'))).toBe(false);
  const claim = await claimFolder(out);
  expect(isRunning(out)).toBe(true);
  expect(await rejectionOf(claimFolder(out))).toMatch(`mine: another run is going on in it (process ${process.pid} on `);
  claim.check();
  claim.release();
  claim.release();
  expect(isRunning(out)).toBe(false);
  const next = await claimFolder(out);
  writeFileSync(join(out, 'kept'), '');
  next.release();
  expect(existsSync(join(out, 'kept'))).toBe(true);
});

it.each<[string, Partial<Owner>, number, boolean]>([
  ['a process that is gone', { pid: 2 ** 22 + 1 }, 0, false],
  ['a process whose number another one has by now', { pid: process.pid, processStart: '1' }, 0, false],
  ['a process of this machine that is late', {}, 3600, true],
  ['another machine', { host: 'elsewhere' }, 5, true],
  ['another machine that is silent', { host: 'elsewhere' }, 3600, false],
  ['a container of this machine', { space: 'other pid:[1]' }, 5, true],
])('held by %s', async (_, change, age, isHeld) => {
  leftBy(change, age);
  expect(isRunning(out)).toBe(isHeld);
  if (isHeld) expect(await rejectionOf(claimFolder(out))).toContain('another run is going on in it');
  else {
    const claim = await claimFolder(out);
    claim.check();
    claim.release();
  }
});

it('is not held where it is a copy of a folder that is', async () => {
  const claim = await claimFolder(out);
  const copy = join(scratch, 'copy');
  cpSync(out, copy, { recursive: true });
  expect([isRunning(out), isRunning(copy)]).toEqual([true, false]);
  (await claimFolder(copy)).release();
  claim.check();
  claim.release();
});

it('is free where a run was killed before it could say that it holds it', async () => {
  mkdirSync(join(out, '.lock'), { recursive: true });
  expect(isRunning(out)).toBe(false);
  const claim = await claimFolder(out);
  expect(isRunning(out)).toBe(true);
  claim.release();
});

it('says so where another run has taken the folder, and leaves it to that one', async () => {
  const claim = await claimFolder(out);
  leftBy({});
  expect(() => claim.check()).toThrow('another run has taken this folder');
  claim.release();
  expect(existsSync(ownerFile())).toBe(true);
});

it('names the folder that it cannot make', async () => {
  writeFileSync(join(scratch, 'file'), '');
  expect(await rejectionOf(claimFolder(join(scratch, 'file/run')))).toMatch(/ebb-lock-.*file: is there already/);
});

it('is given up when work ends or fails, and when a run is closed or cannot be opened', async () => {
  expect(await withClaim(out, async () => isRunning(out))).toBe(true);
  await expect(withClaim(out, async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(openClaimed(out, async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(isRunning(out)).toBe(false);
  let closed = 0;
  const run = await openClaimed(out, async (_: Claim) => ({ close: () => closed++ }));
  expect(isRunning(out)).toBe(true);
  run.close();
  expect([closed, isRunning(out)]).toEqual([1, false]);
});
