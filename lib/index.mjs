// lib/index.js for `import`, by name and as default.

import forkwire from './index.js';

export * from 'node:child_process';
export const { fork, spawn } = forkwire;
export default forkwire;
