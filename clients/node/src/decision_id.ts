import { createHash } from 'node:crypto';

/**
 * The name of a decision, to be logged with what is shown: 32 hex digits.
 *
 * @param generationMs the generation that answered, not the one that wrote the cell
 */
export function decisionId(accountId: string, generationMs: number, ruleId: string): string {
  return createHash('sha256')
    .update(`${generationMs}#${ruleId}#${accountId}`, 'utf8')
    .digest('hex')
    .slice(0, 32);
}
