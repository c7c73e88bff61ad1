import { Injectable } from '@nestjs/common';
import { PriceEntity } from '@tollgate/persistence';
import { UNIT_KINDS, formatAmount, formatRate } from '@tollgate/pricing';
import { DataSource, In, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { AuditedChanges } from '../audit/audited-changes.js';
import type { Actor } from '../auth/operator.js';
import { PageReader, type Page } from '../http/page.js';
import { Problem, notFound, type FieldError } from '../http/problem.js';
import type { CreatePrice, ListPrices, PriceView } from './price.schema.js';
import { requireModels } from './required-models.js';

const clockSchema = z.tuple([z.object({ now: z.date() })]);

/** Prices are never changed or removed: the next one of the same model and plan takes over at its time. */
@Injectable()
export class PricesService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
    private readonly pages: PageReader,
  ) {}

  /** @throws Problem 422 for an unknown model or a time in the past; 409 if a price begins at that time already. */
  async create(actor: Actor, asked: CreatePrice): Promise<PriceView> {
    const [price] = await this.insert(actor, [{ price: asked, pointer: '' }]);
    if (price === undefined) throw new Error('a price was inserted and cannot be read');
    return price;
  }

  /** Creates all of the prices or none. */
  async createAll(actor: Actor, asked: readonly CreatePrice[]): Promise<{ data: PriceView[] }> {
    const named = asked.map((price, index) => ({ price, pointer: `/prices/${index}` }));
    return { data: await this.insert(actor, named) };
  }

  async read(id: string): Promise<PriceView> {
    const price = await this.dataSource.manager.findOneBy(PriceEntity, { id });
    if (price === null) throw notFound('price');
    return priceView(price);
  }

  async list({ model, plan, at, ...page }: ListPrices): Promise<Page<PriceView>> {
    const query = this.dataSource.manager.createQueryBuilder(PriceEntity, 'price');
    if (model !== undefined) query.andWhere('price.model = :model', { model });
    if (plan !== undefined) query.andWhere('price.plan = :plan', { plan });
    if (at !== undefined) {
      query.andWhere('price.effective_from <= :at', { at }).andWhere(
        `NOT EXISTS (SELECT FROM tollgate.price AS later
          WHERE later.model = price.model AND later.plan = price.plan
            AND later.effective_from > price.effective_from AND later.effective_from <= :at)`,
      );
    }
    return this.pages.read(page, {
      name: 'prices',
      query,
      newestFirst: ['price.id'],
      after: 'price.id < :position',
      positionOf: (price) => price.id,
      toItem: priceView,
    });
  }

  private async insert(actor: Actor, asked: readonly PointedPrice[]): Promise<PriceView[]> {
    return this.changes.run(actor, async (manager) => {
      await requireModels(
        manager,
        asked.map(({ price, pointer }) => ({ model: price.model, pointer: `${pointer}/model` })),
      );
      const now = await readClock(manager);
      requireFuture(asked, now);
      const rows = asked.map(({ price }) => priceRow(price, now));
      await manager.insert(PriceEntity, rows);
      const views = await readPrices(
        manager,
        rows.map(({ id }) => id),
      );
      return {
        answer: views,
        audit: views.map((after) => ({
          action: 'price.create',
          target: `price/${after.id}`,
          before: null,
          after,
        })),
      };
    });
  }
}

/** A price and where in the request it stands. */
interface PointedPrice {
  readonly price: CreatePrice;
  readonly pointer: string;
}

/** The database's clock, cut to the milliseconds that this API shows: what was answered can be asked for. */
async function readClock(manager: EntityManager): Promise<Date> {
  const [{ now }] = clockSchema.parse(await manager.query(`SELECT date_trunc('milliseconds', now()) AS now`));
  return now;
}

function requireFuture(asked: readonly PointedPrice[], now: Date): void {
  const errors: FieldError[] = asked
    .filter(({ price }) => price.effectiveFrom !== undefined && price.effectiveFrom < now)
    .map(({ pointer }) => ({
      pointer: `${pointer}/effectiveFrom`,
      message: 'is in the past: prices are never changed after the fact',
    }));
  if (errors.length > 0) {
    throw new Problem('validation_failed', 'A price cannot begin in the past.', { errors });
  }
}

function priceRow(price: CreatePrice, now: Date): Pick<PriceEntity, Exclude<keyof PriceEntity, 'createdAt'>> {
  const { model, plan, perRequest, minimumCharge, effectiveFrom = now } = price;
  const rates = Object.fromEntries(Object.entries(price.rates).map(([kind, pico]) => [kind, String(pico)]));
  return { id: uuidv7(), model, plan, rates, perRequest, minimumCharge, effectiveFrom };
}

/** The prices in the order of the ids. */
async function readPrices(manager: EntityManager, ids: readonly string[]): Promise<PriceView[]> {
  const found = await manager.findBy(PriceEntity, { id: In([...ids]) });
  const byId = new Map(found.map((price) => [price.id, priceView(price)]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

function priceView(price: PriceEntity): PriceView {
  const { id, model, plan, effectiveFrom, createdAt } = price;
  const rates: PriceView['rates'] = {};
  for (const kind of UNIT_KINDS) {
    const pico = price.rates[kind];
    if (pico !== undefined) rates[kind] = formatRate(BigInt(pico));
  }
  return {
    id,
    model,
    plan,
    rates,
    perRequest: formatAmount(price.perRequest),
    minimumCharge: formatAmount(price.minimumCharge),
    effectiveFrom: effectiveFrom.toISOString(),
    createdAt: createdAt.toISOString(),
  };
}
