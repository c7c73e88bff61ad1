// Ends the Postgres that jest-global-setup.mjs started and waits until it is gone.
export default async function stopTestPostgres() {
  const child = globalThis.tollgateTestPostgres;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.stdin.end();
  await exited;
}
