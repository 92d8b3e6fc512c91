import type { z } from 'zod';
import { UsageError } from '../errors.js';

/**
 * Checks a config read from JSON and fills in its defaults.
 *
 * @throws {UsageError} E_CONFIG naming the first field that is wrong.
 */
export function parseConfig<S extends z.ZodType>(where: string, schema: S, json: unknown): z.output<S> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const field = issue.path.length > 0 ? issue.path.join('.') : 'config';
  throw new UsageError('E_CONFIG', `${where}: ${field}: ${issue.message.replace(/\.$/, '')}.`, { cause: result.error });
}
