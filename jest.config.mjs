/** Plain `npx jest`: sources and the packages that are ES modules only become CommonJS, so no flag or variable is needed. */
// The variable's name in version 0.1.0 is taken as well, and its notice would be in every command's stderr.
if (process.env.EBB_ADAPTER !== undefined) {
  process.env.EBB_DEVICE ??= process.env.EBB_ADAPTER;
  delete process.env.EBB_ADAPTER;
}

const esmOnly = [
  'ansi-regex',
  'get-east-asian-width',
  'string-width',
  'strip-ansi',
  'webgpu',
  '@huggingface',
  'commander',
  'fast-check',
  'hyparquet',
  'hyparquet-compressors',
  'hysnappy',
  'pure-rand',
];

export default {
  testEnvironment: 'node',
  globalSetup: '<rootDir>/test/support/build.mjs',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // No test fails for being slow on a busy machine; this ends what hangs.
  testTimeout: 900_000,
  maxWorkers: 2,
  moduleFileExtensions: ['ts', 'mjs', 'js', 'json', 'node'],
  moduleNameMapper: { '^webgpu$': '<rootDir>/test/support/dawn.cjs' },
  transform: {
    '^.+\\.(ts|mjs|js)$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'commonjs', importInterop: 'swc' }, sourceMaps: 'inline' },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join('|')})/)`],
};
