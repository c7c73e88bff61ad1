// The proxies of a run, in a process of their own: none of the processes under test waits for the harness.
import { z } from 'zod';
import { TcpProxy } from './tcp-proxy.js';

const commandSchema = z.discriminatedUnion('do', [
  z.object({ id: z.number(), do: z.literal('open'), name: z.string(), targetPort: z.number() }),
  z.object({
    id: z.number(),
    do: z.literal('set'),
    name: z.string(),
    trouble: z.object({
      mode: z.enum(['pass', 'refuse', 'hold']).optional(),
      delayMs: z.number().optional(),
      cutAfterBytes: z.number().nullable().optional(),
      cutAnswerTo: z.string().nullable().optional(),
    }),
  }),
  z.object({ id: z.number(), do: z.literal('cutAll'), name: z.string() }),
]);

export type ProxyCommand = z.infer<typeof commandSchema>;

const proxies = new Map<string, TcpProxy>();

async function carryOut(command: ProxyCommand): Promise<number> {
  if (command.do === 'open') {
    const proxy = new TcpProxy(command.targetPort);
    proxies.set(command.name, proxy);
    return proxy.listen(0);
  }
  const proxy = proxies.get(command.name);
  if (proxy === undefined) throw new Error(`there is no proxy ${command.name}`);
  if (command.do === 'set') {
    const { mode, delayMs, cutAfterBytes, cutAnswerTo } = command.trouble;
    proxy.set({
      ...(mode !== undefined && { mode }),
      ...(delayMs !== undefined && { delayMs }),
      ...(cutAfterBytes !== undefined && { cutAfterBytes }),
      ...(cutAnswerTo !== undefined && { cutAnswerTo }),
    });
  } else proxy.cutAll();
  return proxy.cuts;
}

process.on('message', (message) => {
  const command = commandSchema.parse(message);
  carryOut(command).then(
    (result) => process.send?.({ id: command.id, result }),
    (error: unknown) => process.send?.({ id: command.id, failure: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ id: 0, result: 0 });
