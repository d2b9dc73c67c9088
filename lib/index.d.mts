import * as forkwire from './index.js';

export * from './index.js';
export default forkwire;
