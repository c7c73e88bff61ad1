import { Check, Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryGeneratedColumn } from 'typeorm';
import { bigintTransformer } from '../bigint-transformer.js';
import { QuarantineEntity } from './quarantine.entity.js';

/** `quarantined`: it was replayed and failed again, so it is still open. All others resolve it. */
export type DeadLetterOutcome = 'settled' | 'known' | 'quarantined' | 'discarded';

/** What an operator decided about a dead letter, and what came of it. Insert-only. Amounts in nano-credits. */
@Entity()
@Index('dead_letter_decision_resolved_once', ['deadLetterId'], {
  unique: true,
  where: `outcome <> 'quarantined'`,
})
@Index('dead_letter_decision_dead_letter_idx', ['deadLetterId', 'id'])
@Check('dead_letter_decision_outcome_known', `outcome IN ('settled', 'known', 'quarantined', 'discarded')`)
@Check('dead_letter_decision_reason_if_open', `(outcome = 'quarantined') = (reason IS NOT NULL)`)
@Check('dead_letter_decision_note_if_discarded', `(outcome = 'discarded') = (note IS NOT NULL)`)
@Check('dead_letter_decision_amounts_not_negative', 'charged >= 0 AND absorbed >= 0 AND freed >= 0')
@Check('dead_letter_decision_moves_if_settled', `outcome = 'settled' OR (charged = 0 AND absorbed = 0)`)
@Check('dead_letter_decision_frees_if_discarded', `outcome = 'discarded' OR freed = 0`)
export class DeadLetterDecisionEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'dead_letter_decision_pkey',
  })
  id: string;

  @Column('bigint')
  @ForeignKey(() => QuarantineEntity, 'id', { name: 'dead_letter_decision_dead_letter_id_fkey' })
  deadLetterId: string;

  @Column('text')
  outcome: DeadLetterOutcome;

  /** Why it failed again. */
  @Column('text', { nullable: true })
  reason: string | null;

  @Column('bigint', { default: 0, transformer: bigintTransformer })
  charged: bigint;

  @Column('bigint', { default: 0, transformer: bigintTransformer })
  absorbed: bigint;

  /** What the discarded request's hold had still set aside. */
  @Column('bigint', { default: 0, transformer: bigintTransformer })
  freed: bigint;

  @Column('text', { nullable: true })
  note: string | null;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;
}
