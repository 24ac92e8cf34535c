/**
 * The layout of the offers table, for programs that read it with Google's Bigtable client
 * (`examples/read_table.ts` is one). Callers of the service need none of this.
 */
import { createHash } from 'node:crypto';
import { judge, unknown } from './answers';
import type { Answer } from './offers';
import { parseAccountOffers } from './wire';

/** Family and column of the accounts' cells. */
export const FAMILY = 'o';
export const QUALIFIER = 'p';
/** Row, family and column that say which generation is published: 8 bytes, see `generationOf`. */
export const POINTER_ROW_KEY = '!pointer';
export const POINTER_FAMILY = 'p';
export const POINTER_GENERATION = 'generation';
/** Bigtable's limit of a row key, less the prefix. */
export const MAX_ACCOUNT_ID_BYTES = 4_091;

const PREFIX_DIGITS = 4;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * The row of an account: the first four hex digits of the SHA-256 of its id, `#`, its id.
 *
 * @throws RangeError the id is empty, too long, or cannot be written as UTF-8
 */
export function rowKey(accountId: string): string {
  if (accountId === '') throw new RangeError('an account id must not be empty');
  if (LONE_SURROGATE.test(accountId)) throw new RangeError('an account id must be encodable as UTF-8');
  const id = Buffer.from(accountId, 'utf8');
  if (id.length > MAX_ACCOUNT_ID_BYTES) {
    throw new RangeError(`an account id of ${id.length} bytes; at most ${MAX_ACCOUNT_ID_BYTES}`);
  }
  return `${createHash('sha256').update(id).digest('hex').slice(0, PREFIX_DIGITS)}#${accountId}`;
}

/** The generation, in milliseconds, that the pointer's 8 bytes name. */
export function generationOf(pointerValue: Uint8Array): number {
  return Number(Buffer.from(pointerValue).readBigUInt64BE());
}

/**
 * What a cell means at an instant.
 *
 * @param cell the value, or `null` where there is no cell; an empty one is a tombstone
 * @param generationMs the published generation by which it was read
 * @throws Error the value is no `AccountOffers`
 */
export function readCell(
  accountId: string,
  cell: Uint8Array | null,
  generationMs: number,
  now = new Date(),
): Answer {
  if (cell === null || cell.length === 0) return unknown(accountId, generationMs);
  return judge(accountId, parseAccountOffers(cell), generationMs, now.getTime());
}
