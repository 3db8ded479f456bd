/** @file `ebb check` on every malformed file: one sentence, the line where one is asked for, little memory; and on every checkpoint. */

import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { check } from '../../src/session/check.ts';
import { readJson, withFixtures } from '../formats/fixtureFolder.ts';
import { expectNamed } from '../support/badConfig.ts';
import { checkpointsIn } from '../support/fixtureModels.ts';

interface Bad {
  file: string;
  wrong: string;
  expected: string;
  weights?: string;
  line?: number;
}

/** What of a config's wrong fields the message must name: the words of the description that are keys of the config. */
function namedFields(path: string, wrong: string): string[] {
  const text = readFileSync(path, 'utf8');
  return (wrong.match(/[a-z]+(?:_[a-z]+)+/g) ?? []).filter((word) => text.includes(`"${word}"`) || /missing/.test(wrong));
}

withFixtures('bad', (folder) => {
  const { files }: { files: Bad[] } = readJson(join(folder, 'bad.json'));

  for (const { file, wrong, expected, weights, line } of files) {
    const path = join(folder, file);
    it(`${file}: ${wrong}: ${expected}`, async () => {
      const beside = weights === undefined ? null : mkdtempSync(join(tmpdir(), 'ebb-bad-'));
      if (beside && weights) {
        copyFileSync(path, join(beside, basename(path)));
        copyFileSync(join(folder, weights), join(beside, 'model.safetensors'));
      }
      const memory = process.resourceUsage().maxRSS;
      const report = await check(beside ?? path);
      expect(process.resourceUsage().maxRSS - memory).toBeLessThan(512 * 1024);
      if (beside) rmSync(beside, { recursive: true });

      const may = /accept/.test(expected) && /reject|error/.test(expected);
      if (!may) expect({ ok: report.ok, message: report.message }).toMatchObject({ ok: /^accept/.test(expected) });
      expect(report.message).not.toContain('\n');
      expect(report.message).toContain(beside ?? dirname(path));
      if (line !== undefined && !report.ok) expect(report.message).toContain(`line ${line}:`);
      const records = /accept, (\d+) records/.exec(expected)?.[1];
      if (records) expect(report.message).toContain(`${records} records`);
      if (/container/.test(expected)) expect(report.message).toContain('not a model');
      if (!weights) return;
      for (const field of namedFields(path, wrong)) expect(report.message).toContain(field);
      expectNamed(report.message, path, join(folder, weights));
      // a configuration on its own is refused for its own field; what only the weights contradict is valid
      const alone = await check(path);
      if (/checkpoint|tensor/.test(wrong)) expect(alone).toMatchObject({ ok: true, kind: 'config', message: expect.stringContaining('without weights') });
      else {
        expect(alone.ok).toBe(false);
        expect(alone.message).not.toContain('holds no weights');
        expectNamed(alone.message, path, join(folder, weights));
      }
    });
  }
});

withFixtures('models', (folder) => {
  it.each(checkpointsIn(folder))('$name: usable if its architecture is supported, refused by name if not', async ({ path, type, supported, refusal }) => {
    const report = await check(path);
    expect(report.ok).toBe(supported);
    for (const words of supported ? [type] : refusal) expect(report.message).toContain(words);
  });
});
