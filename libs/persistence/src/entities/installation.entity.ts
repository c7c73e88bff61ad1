import { Check, Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

/** One row about the installation itself. Only the owner writes it. */
@Entity()
@Check('installation_one_row', 'singleton')
export class InstallationEntity {
  @PrimaryColumn('boolean', { default: true, primaryKeyConstraintName: 'installation_pkey' })
  singleton: boolean;

  /** HMAC of a constant by the master key of the installation: tells another key from the right one. */
  @Column('bytea')
  masterKeyCheck: Buffer;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;
}
