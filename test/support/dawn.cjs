// `webgpu` itself is an ES module that redeclares require; tests load its native part, as its index.js does.
const { dirname, join } = require('node:path');
const arch = process.platform === 'darwin' ? 'universal' : process.arch;
const root = dirname(require.resolve('webgpu/package.json', { paths: [join(__dirname, '..', '..')] }));
module.exports = require(join(root, 'dist', `${process.platform}-${arch}`, 'dawn.node'));
