import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import type { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { createDataSource } from './data-source.js';
import { AccountEntity } from './entities/account.entity.js';
import { ApiKeyEntity } from './entities/api-key.entity.js';
import { AuditLogEntity } from './entities/audit-log.entity.js';
import { DeploymentModelEntity } from './entities/deployment-model.entity.js';
import { DeploymentEntity } from './entities/deployment.entity.js';
import { IdempotencyRecordEntity } from './entities/idempotency-record.entity.js';
import { ModelEntity } from './entities/model.entity.js';
import { OperatorTokenEntity } from './entities/operator-token.entity.js';
import { PriceEntity } from './entities/price.entity.js';
import { TransferEntity } from './entities/transfer.entity.js';

// Real: Postgres through TypeORM, as the application role.

let database: TestDatabase;
let dataSource: DataSource;

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = createDataSource(database.appUrl);
  await dataSource.initialize();
});

afterAll(async () => {
  await dataSource.destroy();
  await database.drop();
});

describe('createDataSource', () => {
  it('writes and reads accounts, with amounts as bigint', async () => {
    const accounts = dataSource.getRepository(AccountEntity);
    const id = uuidv7();
    await accounts.insert({
      id,
      name: 'Ada',
      externalId: 'ada',
      floor: -9_007_199_254_740_993n / 2n,
      metadata: { a: 1 },
    });
    expect(await accounts.findOneBy({ id })).toEqual({
      id,
      name: 'Ada',
      externalId: 'ada',
      status: 'active',
      plan: 'default',
      multiplierPpm: 1_000_000,
      metadata: { a: 1 },
      dialect: null,
      floor: -4_503_599_627_370_496n,
      posted: 0n,
      held: 0n,
      seq: 0n,
      createdAt: expect.any(Date),
      updatedAt: expect.any(Date),
    });
  });

  it('changes an account without a word about its balance', async () => {
    const accounts = dataSource.getRepository(AccountEntity);
    const id = uuidv7();
    await accounts.save({ id, name: 'Bo' });
    await dataSource.query(`SELECT tollgate.adjust('top_up', $1, $1, 5, NULL, NULL)`, [id]);
    const account = await accounts.findOneByOrFail({ id });
    await accounts.save({ ...account, name: 'Bob', status: 'suspended', posted: 999n, held: 1n, floor: -5n });
    expect(await accounts.findOneBy({ id })).toMatchObject({
      name: 'Bob',
      status: 'suspended',
      posted: 5n,
      floor: 0n,
    });
  });

  it('writes and reads the catalog', async () => {
    const [deploymentId, priceId] = [uuidv7(), uuidv7()];
    await dataSource.getRepository(ModelEntity).insert({ id: 'm' });
    const deployment = { id: deploymentId, name: 'd', baseUrl: 'http://d.test', credential: 'sealed' };
    await dataSource
      .getRepository(DeploymentEntity)
      .insert({ ...deployment, provider: 'openai', apis: ['chat'] });
    await dataSource
      .getRepository(DeploymentModelEntity)
      .insert({ deploymentId, model: 'm', upstreamModel: 'u' });
    const price = {
      id: priceId,
      model: 'm',
      rates: { input: '150000' },
      minimumCharge: 8_999_999_999_999_999n,
    };
    await dataSource.getRepository(PriceEntity).insert({ ...price, effectiveFrom: new Date() });
    expect(await dataSource.getRepository(PriceEntity).findOneBy({ id: priceId })).toMatchObject({
      ...price,
      plan: 'default',
      perRequest: 0n,
    });
    expect(await dataSource.getRepository(DeploymentModelEntity).findOneBy({ deploymentId })).toMatchObject({
      priority: 0,
      weight: 1,
    });
    expect(await dataSource.getRepository(DeploymentEntity).findOneBy({ id: deploymentId })).toMatchObject({
      apis: ['chat'],
      settings: {},
      status: 'active',
    });
  });

  it('writes and reads keys, tokens, answers and the audit log', async () => {
    const accountId = uuidv7();
    await dataSource.getRepository(AccountEntity).insert({ id: accountId, name: 'Cy' });
    const key = {
      id: uuidv7(),
      accountId,
      name: 'k',
      prefix: 'sk-1234',
      last4: 'abcd',
      keyHash: Buffer.from('k'),
    };
    await dataSource.getRepository(ApiKeyEntity).insert({ ...key, allowedModels: [] });
    expect(await dataSource.getRepository(ApiKeyEntity).findOneBy({ id: key.id })).toMatchObject({
      ...key,
      allowedModels: [],
      status: 'active',
    });
    const token = { id: uuidv7(), name: 't', tokenHash: Buffer.from('t') };
    await dataSource.getRepository(OperatorTokenEntity).insert(token);
    await dataSource.getRepository(OperatorTokenEntity).update({ id: token.id }, { lastUsedAt: new Date() });
    const answer = {
      accountId,
      route: 'POST /x',
      key: 'once',
      bodyHash: Buffer.from('b'),
      answer: { status: 201 },
    };
    await dataSource.getRepository(IdempotencyRecordEntity).insert(answer);
    expect(await dataSource.getRepository(IdempotencyRecordEntity).findOneBy({ accountId })).toMatchObject(
      answer,
    );
    await dataSource
      .getRepository(AuditLogEntity)
      .insert({ actor: 'a', action: 'b', target: 'c', after: { x: 1 } });
    expect(await dataSource.getRepository(AuditLogEntity).find()).toMatchObject([
      { actor: 'a', before: null },
    ]);
  });

  it('reads transfers', async () => {
    const id = uuidv7();
    await dataSource.getRepository(AccountEntity).insert({ id, name: 'Di' });
    await dataSource.query(`SELECT tollgate.adjust('grant', $1, $1, 8999999999999999, 'r', 'n')`, [id]);
    expect(await dataSource.getRepository(TransferEntity).findBy({ accountId: id })).toMatchObject([
      { kind: 'grant', creditId: id, amount: 8_999_999_999_999_999n, accountSeq: 1n, reference: 'r' },
    ]);
  });
});
