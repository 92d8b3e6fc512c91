// The quantizers that come with the package. Each is one file, imported and registered here.
import { emaVq } from './ema-vq.js';
import { fsq } from './fsq.js';
import { grouped } from './grouped.js';
import { gumbel } from './gumbel.js';
import { lfq } from './lfq.js';
import { registerQuantizer } from './quantizer.js';
import { residual } from './residual.js';
import { simVq } from './simvq.js';
import { vq } from './vq.js';

export { Quantizer, QuantizerConfigSchema, quantizerFamily, quantizerNames, registerQuantizer } from './quantizer.js';
export type { QuantizerConfig } from './quantizer.js';

registerQuantizer(emaVq);
registerQuantizer(vq);
registerQuantizer(grouped);
registerQuantizer(residual);
registerQuantizer(fsq);
registerQuantizer(lfq);
registerQuantizer(simVq);
registerQuantizer(gumbel);
