/** The template that holds the migrated schema; every test database is a copy of it. */
export const TEMPLATE_DATABASE = 'tollgate_template';

/** The role of the applications. Its password guards a throw-away server on loopback, so it may be a constant. */
const APP_ROLE = 'tollgate_app';
const APP_PASSWORD = 'test-app-password';

/** The same server and database as seen by the applications' role. */
export function appUrl(ownerUrl: string): string {
  const url = new URL(ownerUrl);
  url.username = APP_ROLE;
  url.password = APP_PASSWORD;
  return url.href;
}

/** The URL of another database on the same server. */
export function databaseUrl(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}
