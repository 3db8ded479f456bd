/**
 * Jest's node environment with ts-morph loaded outside of its sandbox: TypeScript looks up globals all the time, which a sandbox makes
 * twenty times slower. `moduleNameMapper` sends imports of ts-morph to ./morph.cjs, which finds it here.
 */
const { TestEnvironment } = require('jest-environment-node');

module.exports = class extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    this.global.__tsMorph = require('ts-morph');
  }
};
