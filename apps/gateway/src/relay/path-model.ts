import type { JsonObject } from '@tollgate/openai';
import type { PathModel } from '../http/url-normaliser.js';

/** The body with the model that the path named: where the body names none, or where the path decides. */
export function withPathModel(body: JsonObject, pathModel: PathModel | null): JsonObject {
  if (pathModel === null) return body;
  const { model } = body;
  const isNamed = model !== undefined && model !== null && model !== '';
  return isNamed && !pathModel.overridesBody ? body : { ...body, model: pathModel.name };
}
