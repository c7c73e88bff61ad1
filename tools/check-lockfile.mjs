// Checks that `npm ci` works from package-lock.json on every platform, not only on the one that wrote it:
// - the entries of the root and of each workspace say what their package.json says,
// - every optional dependency (a platform's native binary) has its entry: `npm install` drops those that a registry
//   does not serve, and `npm ci` then refuses the whole file,
// - no entry names the registry that it came from.
import { readFileSync } from 'node:fs';

const MANIFEST_FIELDS = [
  'name',
  'version',
  'license',
  'workspaces',
  'dependencies',
  'devDependencies',
  'engines',
];

const lock = readJson('package-lock.json');
const problems = [
  ...lockProblems(readJson('package.json'), lock),
  ...workspacePaths(lock.packages).flatMap((path) => manifestProblems(path, lock.packages[path])),
  ...missingPlatformPackages(lock.packages),
  ...registryAddresses(lock.packages),
];
if (problems.length > 0) {
  console.error(`package-lock.json:\n  ${problems.join('\n  ')}`);
  process.exitCode = 1;
} else {
  console.log(`package-lock.json is complete: ${Object.keys(lock.packages).length} entries`);
}

function readJson(name) {
  return JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));
}

function lockProblems(manifest, { name, version, lockfileVersion }) {
  return [
    ...(lockfileVersion === 3 ? [] : [`lockfileVersion is ${lockfileVersion}, not 3`]),
    ...(name === manifest.name && version === manifest.version
      ? []
      : ['name or version is not that of package.json']),
  ];
}

/** The root ("") and the folders of workspaces. */
function workspacePaths(packages) {
  return Object.keys(packages).filter((location) => !/(^|\/)node_modules\//.test(location));
}

function manifestProblems(path, entry) {
  const file = path === '' ? 'package.json' : `${path}/package.json`;
  const manifest = readJson(file);
  return MANIFEST_FIELDS.filter((field) => !isSame(manifest[field], entry[field])).map(
    (field) => `"${field}" is not that of ${file}: run npm install`,
  );
}

/** Equal as JSON, whatever the order of members; nothing and an empty object are the same. */
function isSame(left, right) {
  return canonical(left) === canonical(right);
}

function canonical(value) {
  if (typeof value === 'string' || Array.isArray(value)) return JSON.stringify(value);
  return JSON.stringify(Object.entries(value ?? {}).sort(([left], [right]) => (left < right ? -1 : 1)));
}

function missingPlatformPackages(packages) {
  return Object.entries(packages).flatMap(([location, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((dependency) => !resolves(packages, location, dependency))
      .map((dependency) => `${dependency}, which ${location} may need on another platform, has no entry`),
  );
}

/** Whether Node's lookup from `location` upwards meets an entry for the package. */
function resolves(packages, location, dependency) {
  for (let folder = location; ; folder = parentOf(folder)) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${dependency}`] !== undefined) return true;
    if (folder === '') return false;
  }
}

function parentOf(location) {
  const nested = location.lastIndexOf('/node_modules/');
  return nested < 0 ? '' : location.slice(0, nested);
}

function registryAddresses(packages) {
  return Object.entries(packages)
    .filter(([, { resolved, link }]) => resolved !== undefined && link !== true)
    .map(([location, { resolved }]) => `${location} names where it came from: ${resolved}`);
}
