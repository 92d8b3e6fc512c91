#!/usr/bin/env node
import { buildProgram } from './program.js';
import { Session } from './session.js';

const session = new Session();
await session.run(() => buildProgram(session).parseAsync(process.argv));
