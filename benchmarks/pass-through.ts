import 'reflect-metadata';
import { Controller, HttpCode, Module, Post, Req, Res } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Pool, type Dispatcher } from 'undici';

/**
 * The least that a gateway on the same stack can cost: NestJS on Fastify, the body as a buffer, undici's dispatch written
 * to the raw response. No key, no money, no metering, nothing parsed.
 */
const upstreamOrigin = process.argv[2] ?? '';
const pool = new Pool(upstreamOrigin, { connections: 512, pipelining: 1 });

@Controller('v1/chat/completions')
class PassThroughController {
  @Post()
  @HttpCode(200)
  create(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    reply.hijack();
    pool.dispatch(
      {
        method: 'POST',
        path: '/v1/chat/completions',
        headers: { 'content-type': 'application/json' },
        body: request.body instanceof Buffer ? request.body : null,
      },
      passOn(reply),
    );
  }
}

function passOn(reply: FastifyReply): Dispatcher.DispatchHandler {
  const { raw } = reply;
  return {
    onRequestStart: () => undefined,
    onResponseStart: (_controller, status, headers) => {
      raw.writeHead(status, { 'content-type': headers['content-type'] ?? 'application/json' });
    },
    onResponseData: (controller, chunk) => {
      if (raw.write(chunk)) return;
      controller.pause();
      raw.once('drain', () => controller.resume());
    },
    onResponseEnd: () => void raw.end(),
    onResponseError: () => void raw.destroy(),
  };
}

@Module({ controllers: [PassThroughController] })
class PassThroughModule {}

async function start(): Promise<void> {
  const adapter = new FastifyAdapter({ logger: false });
  const app = await NestFactory.create<NestFastifyApplication>(PassThroughModule, adapter, {
    bodyParser: false,
    logger: false,
  });
  const fastify = adapter.getInstance<FastifyInstance>();
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  await app.listen(0, '127.0.0.1');
  process.send?.({ port: Number(new URL(await app.getUrl()).port) });
}

process.on('disconnect', () => process.exit(0));
void start();
