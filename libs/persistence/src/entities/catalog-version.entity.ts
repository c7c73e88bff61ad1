import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintTransformer } from '../bigint-transformer.js';

/** One row, raised by triggers with every change of what gateways cache. */
@Entity()
@Check('catalog_version_one_row', 'singleton')
export class CatalogVersionEntity {
  @PrimaryColumn('boolean', { default: true, primaryKeyConstraintName: 'catalog_version_pkey' })
  singleton: boolean;

  @Column('bigint', { transformer: bigintTransformer })
  version: bigint;
}
