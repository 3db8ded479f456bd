/** @file Arguments of calls that are given as JSON text. */

import { parseExactJson } from '../formats/exactJson.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';

function parsed(value: Json): Json {
  if (typeof value !== 'string') return value;
  try {
    const found = parseExactJson(value);
    return isObject(found) ? found : value;
  } catch {
    return value;
  }
}

const withParsed = (call: JsonObject): JsonObject => (call['arguments'] === undefined ? call : { ...call, arguments: parsed(call['arguments']) });

/** A message whose calls have what the JSON text of their arguments says, as servers (vLLM, SGLang) render them. */
export function withArguments(message: JsonObject): JsonObject {
  const { tool_calls: calls } = message;
  if (!Array.isArray(calls)) return message;
  return {
    ...message,
    tool_calls: calls.map((call) => {
      if (!isObject(call)) return call;
      const inner = call['function'];
      return withParsed(isObject(inner) ? { ...call, function: withParsed(inner) } : call);
    }),
  };
}
