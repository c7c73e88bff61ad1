/** The paths that the gateway serves, with their methods: what tells a wrong method (405) from a wrong path (404). */
const KNOWN_PATHS: readonly { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [
  { pattern: /^\/v1\/chat\/completions$/, methods: ['POST'] },
  { pattern: /^\/v1\/models$/, methods: ['GET'] },
  { pattern: /^\/v1\/models\/.+$/, methods: ['GET'] },
  { pattern: /^\/health\/(live|ready)$/, methods: ['GET'] },
];

/** The methods of a path; null for a path that does not exist. */
export function allowedMethods(path: string): readonly string[] | null {
  return KNOWN_PATHS.find(({ pattern }) => pattern.test(path))?.methods ?? null;
}
