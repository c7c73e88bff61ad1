export { findFreePort } from './postgres/free-port.js';
export { PostgresError } from './postgres/postgres-error.js';
export {
  startPostgresServer,
  stopAbandonedPostgres,
  type PostgresServer,
  type PostgresServerOptions,
} from './postgres/postgres-server.js';
