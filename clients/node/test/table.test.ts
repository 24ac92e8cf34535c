/** What a cell means, for programs that read the table themselves. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Offer } from '../src/index';
import { decisionId, table } from '../src/index';
import { serializeAccountOffers } from '../src/wire';

const NOW = new Date('2026-02-01T08:00:00Z');
const PAST = NOW.getTime();
const FUTURE = PAST + 1;
const GENERATION = 1769817600001;

function offer(offerId: string, more: object = {}): object {
  return { offerId, ruleId: `rule of ${offerId}`, ...more };
}

function read(account: object) {
  const cell = serializeAccountOffers({ accountId: 'a', segmentDate: '2026-01-31', ...account });
  return table.readCell('a', cell, GENERATION, NOW);
}

const ids = (offers: readonly Offer[]) => offers.map((each) => each.offerId);

describe('a cell', () => {
  test('that is not there, or empty, is an unknown account', () => {
    assert.equal(table.readCell('a', null, GENERATION).outcome, 'unknown');
    assert.equal(table.readCell('a', Buffer.alloc(0), GENERATION).outcome, 'unknown');
  });

  test('has control arms apart, wherever they stand', () => {
    const answer = read({
      offers: [offer('shown'), offer('control of an older loader', { isControl: true })],
      heldBack: [offer('control', { isControl: true })],
    });
    assert.equal(answer.outcome, 'found');
    assert.deepEqual(ids(answer.offers), ['shown']);
    assert.deepEqual(ids(answer.heldBack), ['control of an older loader', 'control']);
  });

  test('names decisions by the generation that answers', () => {
    const [shown] = read({ offers: [offer('shown')], generationMs: 1 }).offers;
    assert.equal(shown?.decisionId, decisionId('a', GENERATION, 'rule of shown'));
  });

  test('tells a score of 0 from none', () => {
    const { offers } = read({ offers: [offer('scored', { score: 0 }), offer('not')] });
    assert.deepEqual(
      offers.map((each) => each.score),
      [0, null],
    );
  });

  test('shows nothing that has run out', () => {
    const offers = [offer('over', { validUntilMs: PAST }), offer('left', { validUntilMs: FUTURE })];
    assert.deepEqual(ids(read({ offers }).offers), ['left']);
  });

  test('whose every offer has run out is expired', () => {
    assert.equal(read({ offers: [offer('over', { validUntilMs: PAST })] }).outcome, 'expired');
  });

  test('that has run out itself is expired', () => {
    assert.equal(read({ offers: [offer('left')], validUntilMs: PAST }).outcome, 'expired');
  });

  test('blocks for good', () => {
    const answer = read({ suppressedReason: 'CONSENT_WITHDRAWN', validUntilMs: PAST });
    assert.ok(answer.outcome === 'suppressed' && answer.reason === 'CONSENT_WITHDRAWN');
  });

  test('of other bytes is refused', () => {
    assert.throws(() => table.readCell('a', Buffer.from([15]), GENERATION));
  });
});

test('account ids that cannot be row keys are refused', () => {
  assert.throws(() => table.rowKey(''), RangeError);
  assert.throws(() => table.rowKey('\ud83c'), RangeError);
  assert.throws(() => table.rowKey('x'.repeat(5_000)), {
    message: 'an account id of 5000 bytes; at most 4091',
  });
});
