// The public entry `tesserae/engine`: the engine with the runtimes of Node.js.
import './register-node.js';

export * from './index.js';
