/** ts-morph as ./definitionEnvironment.cjs loaded it, outside of Jest's sandbox. */
if (!globalThis.__tsMorph) throw new Error('tests that load definitions say @jest-environment ./test/support/definitionEnvironment.cjs');
module.exports = globalThis.__tsMorph;
