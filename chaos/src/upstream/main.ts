// The upstream of a run, in a process of its own: the witness of what was delivered. It answers as the markers say, and writes its
// book down when it is told to.
import { writeFile } from 'node:fs/promises';
import { startFakeUpstream, type Delivery } from '@tollgate/testing';
import { z } from 'zod';
import { behaviourOf } from './asked-answer.js';
import { deliveredSchema, type Delivered } from './delivered.js';

const commandSchema = z.object({ writeTo: z.string() });

async function serve(): Promise<void> {
  const upstream = await startFakeUpstream({ behaviourOf });
  process.on('message', (message) => {
    const { writeTo } = commandSchema.parse(message);
    upstream
      .deliveries()
      .then((deliveries) =>
        writeFile(
          writeTo,
          deliveries.map((one) => `${JSON.stringify(toDelivered(one))}\n`),
        ),
      )
      .then(
        () => process.send?.({ written: true }),
        (error: unknown) => process.send?.({ written: false, failure: String(error) }),
      );
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ port: upstream.port });
}

function toDelivered(delivery: Delivery): Delivered {
  const { marker, requestId, status, chunks, contentBytes, arrivedAtMs, closedAtMs } = delivery;
  return {
    marker,
    requestId,
    status,
    isStreamed: delivery.streamed,
    chunks,
    contentBytes,
    hasEnded: delivery.ended,
    hasClientLeft: delivery.clientAborted,
    usage: deliveredSchema.shape.usage.parse(delivery.usage),
    arrivedAtMs,
    closedAtMs,
  };
}

void serve();
