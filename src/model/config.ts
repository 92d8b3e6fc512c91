import { z } from 'zod';
import { UsageError } from '../errors.js';
import { closestName, excerpt } from '../names.js';

/**
 * Checks a config read from JSON and fills in its defaults.
 *
 * @throws {UsageError} E_CONFIG naming the first field that is wrong, and the field that an unknown one may stand for.
 */
export function parseConfig<S extends z.ZodType>(where: string, schema: S, json: unknown): z.output<S> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const { issues } = result.error;
  // A misspelt field is also missing.
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!;
  const field = issue.path.length > 0 ? issue.path.join('.') : 'config';
  const detail = issue.code === 'unrecognized_keys' ? unknownKey(schema, issue.path, issue.keys[0]!) : issue.message;
  throw new UsageError('E_CONFIG', `${where}: ${field}: ${detail.replace(/\.$/, '')}.`, { cause: result.error });
}

function unknownKey(schema: z.ZodType, path: readonly PropertyKey[], key: string): string {
  const closest = closestName(key, fieldsAt(schema, path));
  return `unknown field "${excerpt(key)}"${closest === undefined ? '' : ` (did you mean "${closest}"?)`}`;
}

/** The names of the fields of the object at a path, as far as the schema tells. */
function fieldsAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at: unknown = schema;
  for (const name of path) at = objectIn(at)?.shape[String(name)];
  return Object.keys(objectIn(at)?.shape ?? {});
}

/** The object of a schema with a default, a check or a conversion around it. */
function objectIn(schema: unknown): z.ZodObject | undefined {
  for (let at = schema; at !== undefined;) {
    if (at instanceof z.ZodObject) return at;
    const { innerType, in: input, out } = (at as { def?: Record<string, unknown> }).def ?? {};
    at = innerType ?? (out instanceof z.ZodTransform ? input : out);
  }
  return undefined;
}
