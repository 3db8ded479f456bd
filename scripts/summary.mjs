/** Adds up Jest's JSON reports. Prints the seconds of each suite, then `N passed, N failed`. Usage: summary.mjs FAILED_STAGES REPORT... */
import { readFileSync } from 'node:fs';
import { basename, relative } from 'node:path';

const [failedStages, ...files] = process.argv.slice(2);
let passed = 0;
let failed = 0;
for (const file of files) {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
  console.log(`=== ${basename(file, '.json')}: seconds by suite`);
  const suites = report.testResults.map((suite) => ({ name: relative(process.cwd(), suite.name), seconds: (suite.endTime - suite.startTime) / 1000 }));
  for (const { name, seconds } of suites.sort((a, b) => b.seconds - a.seconds)) console.log(`${seconds.toFixed(1).padStart(8)}  ${name}`);
}
// a stage that failed without a failed test (a check or an installation) counts as one failed test
if (failed === 0) failed = Number(failedStages);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
