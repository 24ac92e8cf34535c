/** The bytes that every language agrees on. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { decisionId, table } from '../src/index';
import { parseAccountOffers, serializeAccountOffers } from '../src/wire';

const GOLDEN = process.env['SEGUE_GOLDEN'] ?? path.join(__dirname, '../../../golden');

function vectors<T>(name: string): T[] {
  return JSON.parse(readFileSync(path.join(GOLDEN, name), 'utf8')) as T[];
}

describe('row keys', () => {
  for (const each of vectors<{ account_id: string; row_key_hex: string }>('row_keys.json')) {
    test(each.account_id.slice(0, 40), () => {
      assert.equal(Buffer.from(table.rowKey(each.account_id), 'utf8').toString('hex'), each.row_key_hex);
    });
  }
});

interface Decision {
  account_id: string;
  generation_ms: number;
  rule_id: string;
  decision_id: string;
}

describe('decision ids', () => {
  for (const each of vectors<Decision>('decision_ids.json')) {
    test(`${each.account_id} ${each.generation_ms} ${each.rule_id}`, () => {
      assert.equal(decisionId(each.account_id, each.generation_ms, each.rule_id), each.decision_id);
    });
  }
});

interface Payload {
  name: string;
  account: Record<string, unknown> | null;
  payload_hex: string;
}

/** The vectors have the names of the .proto file, this client those of JavaScript. */
function camelCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCased);
  if (typeof value !== 'object' || value === null) return value;
  const renamed = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [renamed(name), camelCased(each)]));
}

describe('payloads are read and written alike', () => {
  for (const { name, account, payload_hex: hex } of vectors<Payload>('payloads.json')) {
    test(name, () => {
      const payload = Buffer.from(hex, 'hex');
      // a tombstone is no message but the absence of one
      if (account === null) return assert.equal(payload.length, 0);
      const written = serializeAccountOffers(camelCased(account) as object);
      assert.equal(written.toString('hex'), hex);
      assert.deepEqual(parseAccountOffers(payload), parseAccountOffers(written));
    });
  }
});

interface Generation {
  segment_date: string;
  attempt: number;
  generation_ms: number;
  pointer_value_hex: string;
}

describe('generations', () => {
  for (const each of vectors<Generation>('generations.json')) {
    test(`${each.segment_date} attempt ${each.attempt}`, () => {
      const generation = table.generationOf(Buffer.from(each.pointer_value_hex, 'hex'));
      assert.equal(generation, each.generation_ms);
      assert.equal(generation, Date.parse(each.segment_date) + each.attempt);
    });
  }
});
