import { EngineError } from '../errors.js';

/** An object that throws when a property is read that it does not have, unless it is optional. */
export function byName<T extends object>(where: string, values: object, optional?: ReadonlySet<string>): T {
  return new Proxy(values, {
    get: (target, name) => {
      if (name in target || typeof name === 'symbol' || optional?.has(name))
        return Reflect.get(target, name) as unknown;
      throw new EngineError(
        'E_ENGINE_INPUT',
        `${where}: expected one of ${Object.keys(target).join(', ') || 'no values'}, received "${name}".`,
      );
    },
  }) as T;
}
