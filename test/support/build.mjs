/** Jest's global setup: commands are tested as they are installed, so dist/ is built from the sources as they are now. */
import { execFileSync } from 'node:child_process';

export default function build() {
  // kernels as their device's kind starts: what was measured differs from machine to machine
  process.env.EBB_TUNE = 'off';
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
}
