import { SnakeNamingStrategy } from './snake-naming-strategy.js';

const strategy = new SnakeNamingStrategy();

describe('SnakeNamingStrategy', () => {
  it.each([
    ['AccountEntity', 'account'],
    ['DeploymentModelEntity', 'deployment_model'],
    ['ApiKeyEntity', 'api_key'],
  ])('names the table of %s %s', (className, table) =>
    expect(strategy.tableName(className, undefined)).toBe(table),
  );

  it.each([
    ['id', 'id'],
    ['firstByteMs', 'first_byte_ms'],
    ['multiplierPpm', 'multiplier_ppm'],
    ['last4', 'last4'],
  ])('names the column of %s %s', (property, column) =>
    expect(strategy.columnName(property, '', [])).toBe(column),
  );
});
