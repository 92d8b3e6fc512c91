// Loaded before a program (`node --import`) whose parent asks over IPC how long its event loop was blocked, in milliseconds.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
process.on('message', () => {
  process.send?.(delay.count === 0 ? 0 : delay.max / 1e6);
  delay.reset();
});
process.channel?.unref();
