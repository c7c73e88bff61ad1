import { isDeepStrictEqual } from 'node:util';
import type { StandardSchemaConverter } from '@nestjs/swagger';
import { z } from 'zod';

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Formats that say all: the patterns that zod writes for them are pages long. */
const SELF_EXPLAINING_FORMATS = new Set(['uuid', 'date-time']);

/**
 * Makes the converter of one document from zod to JSON Schema: what requests hold is described as it comes in, before
 * any transform, and what answers hold as it goes out. Schemas with an id become components of that name.
 */
export function createSchemaConverter(): StandardSchemaConverter {
  const components = new Map<string, JsonSchema>();
  return (schema, { schemaType }) => {
    if (!(schema instanceof z.ZodType)) return undefined;
    const {
      $schema: _version,
      $defs = {},
      ...root
    } = z.toJSONSchema(schema, { io: schemaType, override: plainer });
    for (const [name, definition] of Object.entries($defs)) remember(components, name, definition);
    return { schema: root, components: $defs };
  };
}

/** A component is one thing: of two schemas with one name, one would vanish from the document. */
function remember(components: Map<string, JsonSchema>, name: string, definition: JsonSchema): void {
  const known = components.get(name);
  if (known !== undefined && !isDeepStrictEqual(known, definition)) {
    throw new Error(`two schemas have the name ${name}: give each its own .meta({ id })`);
  }
  components.set(name, definition);
}

/** Leaves out what says nothing, and says what generators of clients understand. */
function plainer({ jsonSchema }: { jsonSchema: JsonSchema }): void {
  if (jsonSchema.format !== undefined && SELF_EXPLAINING_FORMATS.has(jsonSchema.format)) {
    delete jsonSchema.pattern;
  }
  const { propertyNames, additionalProperties } = jsonSchema;
  if (typeof propertyNames !== 'object') return;
  // A record by known names is an object with these properties; few generators read propertyNames.
  if (propertyNames.enum !== undefined && additionalProperties !== undefined) {
    const names = propertyNames.enum.map(String);
    jsonSchema.properties = Object.fromEntries(
      names.map((name) => [name, structuredClone(additionalProperties)]),
    );
    jsonSchema.additionalProperties = false;
  }
  delete jsonSchema.propertyNames;
}
